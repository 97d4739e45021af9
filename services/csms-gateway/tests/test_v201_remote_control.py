"""OCPP 2.0.1, blocks F (remote control), G (availability) and P (vendors' own messages)."""

import json
from typing import Any

import pytest
from gateway_commands import V21, V201, staffed
from gateway_wire import Gateway
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from csms_gateway import schemas
from csms_gateway.charger import Unsupported
from csms_gateway.commands.all_kinds import KINDS
from csms_gateway.commands.kinds import Kind
from csms_gateway.versions import VERSIONS


@pytest.mark.parametrize(
    ("command", "action", "payload"),
    [
        # TC_F_06
        ({"type": "unlock_connector", "evse_id": 2}, "UnlockConnector",
         {"evseId": 2, "connectorId": 1}),
        # TC_F_11 to TC_F_27
        ({"type": "trigger_message", "message": "MeterValues", "evse_id": 1}, "TriggerMessage",
         {"requestedMessage": "MeterValues", "evse": {"id": 1}}),
        ({"type": "trigger_message", "message": "MeterValues"}, "TriggerMessage",
         {"requestedMessage": "MeterValues"}),
        ({"type": "trigger_message", "message": "StatusNotification", "evse_id": 1,
          "connector_id": 2}, "TriggerMessage",
         {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 2}}),
        # TC_G_03 to TC_G_20
        ({"type": "change_availability", "operative": False, "evse_id": 1}, "ChangeAvailability",
         {"operationalStatus": "Inoperative", "evse": {"id": 1}}),
        ({"type": "change_availability", "operative": True}, "ChangeAvailability",
         {"operationalStatus": "Operative"}),
        ({"type": "change_availability", "operative": False, "evse_id": 1, "connector_id": 2},
         "ChangeAvailability",
         {"operationalStatus": "Inoperative", "evse": {"id": 1, "connectorId": 2}}),
        ({"type": "clear_cache"}, "ClearCache", {}),
        # P01
        ({"type": "data_transfer", "vendor_id": "org.x", "message_id": "m", "data": {"a": [1]}},
         "DataTransfer", {"vendorId": "org.x", "messageId": "m", "data": {"a": [1]}}),
        ({"type": "data_transfer", "vendor_id": "org.x"}, "DataTransfer", {"vendorId": "org.x"}),
    ],
)  # fmt: skip
async def test_TC_F_06_TC_G_03_P01_commands_are_sent_in_the_words_of_2_0_1(
    gateway: Gateway, command: dict[str, Any], action: str, payload: dict[str, Any]
) -> None:
    async with staffed(gateway, V201) as staff:
        done, calls = await staff.send(command)
        assert calls == [(action, payload)]
        assert done["state"] == "accepted"


@pytest.mark.parametrize("version", [V201, V21])
async def test_TC_F_06_an_unlocked_connector_is_a_command_taken_and_a_refusal_none(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        command = {"type": "unlock_connector", "evse_id": 1}
        for status, state in (
            ("Unlocked", "accepted"),
            ("UnlockFailed", "rejected"),
            ("OngoingAuthorizedTransaction", "rejected"),
            ("UnknownConnector", "rejected"),
        ):
            done, _ = await staff.send(command, {"status": status})
            assert (done["state"], done["result"]) == (state, {"status": status})


async def test_TC_G_08_a_scheduled_change_of_availability_is_taken(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        command = {"type": "change_availability", "operative": False}
        done, _ = await staff.send(command, {"status": "Scheduled"})
        assert done["state"] == "accepted"


async def test_F06_a_custom_trigger_is_of_2_1(gateway: Gateway) -> None:
    command = {"type": "trigger_message", "message": "VendorState"}
    async with staffed(gateway, V21) as staff:
        _, calls = await staff.send(command)
        custom = {"requestedMessage": "CustomTrigger", "customTrigger": "VendorState"}
        assert calls == [("TriggerMessage", custom)]
    async with staffed(gateway, V201) as staff:
        done = await staff.command(command)
        assert (done["state"], done["result"]["code"]) == ("failed", "NotSupported")
        for where in ({"type": "change_availability", "operative": True}, command):
            done = await staff.command(where | {"connector_id": 1})
            assert done["result"]["code"] == "NotSupported"


@pytest.mark.parametrize("version", [V201, V21])
async def test_P01_what_the_station_says_to_a_vendors_message_is_shown_to_staff(
    gateway: Gateway, version: str
) -> None:
    command = {"type": "data_transfer", "vendor_id": "org.x", "message_id": "m", "data": "hello"}
    async with staffed(gateway, version) as staff:
        for status, state in (
            ("Accepted", "accepted"),
            ("Rejected", "rejected"),
            ("UnknownVendorId", "rejected"),
        ):
            answer = {"status": status, "data": {"any": [1, None]}}
            done, calls = await staff.send(command, answer)
            payload = {"vendorId": "org.x", "messageId": "m", "data": "hello"}
            assert calls == [("DataTransfer", payload)]
            assert (done["state"], done["result"]) == (state, answer)


@pytest.mark.parametrize("version", [V201, V21])
async def test_TC_P_02_P02_FR_06_an_unknown_vendors_message_is_kept_and_told_so(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        payload = {"vendorId": "org.unknown", "messageId": "m", "data": {"any": [1, None]}}
        assert await staff.wire.send("DataTransfer", payload) == {"status": "UnknownVendorId"}
        (kept,) = await staff.notifications(action="DataTransfer")
        assert kept["payload"] == payload


# A command of each kind of these blocks; what else may be given is tried below.
COMMANDS: dict[str, dict[str, Any]] = {
    "unlock_connector": {"evse_id": 1},
    "reset": {},
    "get_variables": {"variables": [{"component": "X", "variable": "A"}]},
    "set_variables": {"variables": [{"component": "X", "variable": "A", "value": "1"}]},
    "trigger_message": {"message": "Heartbeat"},
    "change_availability": {"operative": True},
    "clear_cache": {},
    "data_transfer": {"vendor_id": "x"},
    "update_firmware": {"location": "https://x/fw"},
    "get_log": {"location": "https://x/log"},
    "clear_display_message": {"id": 1},
    "clear_variable_monitoring": {"id": [1]},
    "customer_information": {"report": True, "clear": False, "customer_identifier": "c"},
    "get_base_report": {"report_base": "FullInventory"},
    "get_display_messages": {},
    "get_monitoring_report": {},
    "get_report": {},
    "publish_firmware": {"location": "https://x/fw", "checksum": "0" * 32},
    "set_display_message": {
        "message": {"priority": "AlwaysFront", "message": {"format": "UTF8", "content": "hi"}}
    },
    "set_monitoring_base": {"monitoring_base": "All"},
    "set_monitoring_level": {"severity": 4},
    "set_network_profile": {
        "configuration_slot": 1,
        "connection_data": {
            "ocppTransport": "JSON", "ocppCsmsUrl": "wss://x", "messageTimeout": 30,
            "securityProfile": 1, "ocppInterface": "Wired0", "ocppVersion": "OCPP20",
        },
    },
    "set_variable_monitoring": {
        "set_monitoring_data": [
            {"value": 1, "type": "Delta", "severity": 8, "component": {"name": "EVSE"},
             "variable": {"name": "AvailabilityState"}}
        ]
    },
    "unpublish_firmware": {"checksum": "0" * 32},
}  # fmt: skip


@pytest.mark.parametrize("version", [V201, V21])
async def test_every_command_becomes_a_call_that_its_schema_allows(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        assert "currentTime" in await staff.wire.send("Heartbeat", {})
        charger = gateway.service.app.state.beside.get(staff.station_id)
        for kind, parameters in COMMANDS.items():
            command = KINDS[kind].model_validate({"type": kind, **parameters})
            calls = await VERSIONS[version].commands[kind](charger, command)
            assert calls, kind
            for call in calls:
                schemas.check_outgoing(charger.version.schemas, call.action, call.payload)


OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "evse_id": st.none() | st.integers(1, 1000),
    "connector_id": st.none() | st.integers(1, 1000),
    "message": st.sampled_from(["Heartbeat", "SignV2G20Certificate", "Custom"]),
    "log": st.sampled_from(["diagnostics", "security", "data_collector"]),
    "oldest_at": st.none() | st.datetimes(timezones=st.timezones()),
    "retrieve_at": st.none() | st.datetimes(timezones=st.timezones()),
    "install_at": st.none() | st.datetimes(timezones=st.timezones()),
    "retries": st.none() | st.integers(0, 9),
    "signature": st.none() | st.just("c2ln"),
    "signing_certificate": st.none() | st.just("PEM"),
    "data": st.none() | st.text() | st.lists(st.integers(-9, 9)),
    "when": st.sampled_from(["immediate", "on_idle", "immediate_and_resume"]),
}
TYPED = ["unlock_connector", "trigger_message", "change_availability", "update_firmware",
         "get_log", "data_transfer"]  # fmt: skip
EXAMPLES = st.tuples(
    st.sampled_from(TYPED),
    st.fixed_dictionaries({}, optional=OPTIONS),
    st.sampled_from([V201, V21]),
)


async def test_whatever_is_given_becomes_a_valid_call_or_is_refused(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as first, staffed(gateway, V21) as second:
        chargers = {}
        for staff in (first, second):
            assert "currentTime" in await staff.wire.send("Heartbeat", {})
            charger = gateway.service.app.state.beside.get(staff.station_id)
            chargers[charger.version.name] = charger
        tried = []

        @given(EXAMPLES)
        def collect(example: tuple[str, dict[str, Any], str]) -> None:
            kind, options, version = example
            members = KINDS[kind].model_fields
            given_ones = {name: value for name, value in options.items() if name in members}
            parameters = json.loads(TypeAdapter(dict).dump_json(COMMANDS[kind] | given_ones))
            try:
                command: Kind = KINDS[kind].model_validate({"type": kind, **parameters})
            except ValidationError:
                return
            tried.append((version, command))

        collect()
        sent = 0
        for version, command in tried:
            try:
                calls = await VERSIONS[version].commands[command.type](chargers[version], command)
            except Unsupported:
                continue
            for call in calls:
                schemas.check_outgoing(VERSIONS[version].schemas, call.action, call.payload)
                sent += 1
        assert sent > 10
