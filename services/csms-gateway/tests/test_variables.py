"""Variables of OCPP 2.x and configuration keys of 1.6: read, set, told and kept."""

import json
from typing import Any
from uuid import uuid4

import pytest
from gateway_commands import V16, V21, V201, Staffed, staffed
from gateway_wire import OPERATOR, Gateway, stamp
from hypothesis import given
from hypothesis import strategies as st
from stack import eventually

from csms_gateway import masking
from csms_gateway.device_model import batches, secret
from csms_gateway.variables import VARIABLES_MAX


def variable(component: str, name: str, **more: Any) -> dict[str, Any]:
    return {"component": component, "variable": name, **more}


def result(component: str, name: str, value: str, instance: str = "") -> dict[str, Any]:
    named = {"name": name, "instance": instance} if instance else {"name": name}
    return {
        "attributeStatus": "Accepted",
        "attributeValue": value,
        "component": {"name": component},
        "variable": named,
    }


def report(
    component: dict[str, Any], name: str, *attributes: dict[str, Any], **more: Any
) -> dict[str, Any]:
    return {
        "component": component,
        "variable": {"name": name},
        "variableAttribute": list(attributes),
        **more,
    }


async def told(staff: Staffed, *data: dict[str, Any], seq_no: int = 0, tbc: bool = False) -> Any:
    payload = {"requestId": 7, "generatedAt": stamp(), "seqNo": seq_no, "tbc": tbc}
    return await staff.wire.send("NotifyReport", payload | {"reportData": list(data)})


def plain(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["component"], row["variable"], row["value"]) for row in rows]


async def test_TC_B_06_a_variable_is_read_and_what_was_read_is_kept(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        done, calls = await staff.send(
            {"type": "get_variables", "variables": [variable("OCPPCommCtrlr", "OfflineThreshold")]},
            {"getVariableResult": [result("OCPPCommCtrlr", "OfflineThreshold", "300")]},
        )
        data = [{"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}}]
        assert calls == [("GetVariables", {"getVariableData": data})]
        assert done["state"] == "accepted"
        assert plain(await staff.variables()) == [("OCPPCommCtrlr", "OfflineThreshold", "300")]


async def test_TC_B_08_B06_FR_05_no_message_has_more_items_than_the_station_takes(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V201) as staff:
        await staff.send(
            {
                "type": "get_variables",
                "variables": [
                    variable("DeviceDataCtrlr", "ItemsPerMessage", variable_instance="GetVariables")
                ],
            },
            {
                "getVariableResult": [
                    result("DeviceDataCtrlr", "ItemsPerMessage", "2", "GetVariables")
                ]
            },
        )
        names = ["A", "B", "C", "D", "E"]
        done, calls = await staff.send(
            {"type": "get_variables", "variables": [variable("X", name) for name in names]},
            *(
                {"getVariableResult": [result("X", name, name.lower()) for name in some]}
                for some in (names[:2], names[2:4], names[4:])
            ),
        )
        assert [len(payload["getVariableData"]) for _, payload in calls] == [2, 2, 1]
        assert done["state"] == "accepted"
        assert [row["value"] for row in await staff.variables(component="x")] == list("abcde")


async def test_TC_B_09_a_variable_is_set_and_counts_once_the_station_took_it(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V201) as staff:

        def status(name: str, found: str, **more: Any) -> dict[str, Any]:
            about = {"component": {"name": "X"}, "variable": {"name": name}}
            return {"attributeStatus": found, **about, **more}

        values = [
            variable("X", "Taken", value="1", evse_id=None),
            variable("X", "Refused", value="2"),
            variable("X", "Later", value="3", attribute="Target"),
        ]
        done, calls = await staff.send(
            {"type": "set_variables", "variables": values},
            {
                "setVariableResult": [
                    status("Taken", "Accepted"),
                    status("Refused", "Rejected"),
                    status("Later", "RebootRequired", attributeType="Target"),
                ]
            },
        )
        assert done["state"] == "rejected"  # not all of it was taken
        about = {"component": {"name": "X"}, "variable": {"name": "Later"}}
        assert calls[0][1]["setVariableData"][2] == {
            "attributeValue": "3",
            "attributeType": "Target",
            **about,
        }
        rows = await staff.variables()
        assert [(row["variable"], row["attribute"], row["value"]) for row in rows] == [
            ("Taken", "Actual", "1"),
            ("Later", "Target", "3"),
        ]


async def test_B05_FR_13_a_variable_is_never_twice_in_a_message(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:

        def taken(name: str) -> dict[str, Any]:
            about = {"component": {"name": "X"}, "variable": {"name": name}}
            return {"setVariableResult": [{"attributeStatus": "Accepted", **about}]}

        values = [variable("X", "A", value="1"), variable("X", "A", value="2")]
        _, calls = await staff.send(
            {"type": "set_variables", "variables": values}, taken("A"), taken("A")
        )
        assert [payload["setVariableData"][0]["attributeValue"] for _, payload in calls] == [
            "1",
            "2",
        ]
        assert plain(await staff.variables()) == [("X", "A", "2")]


async def test_a_variable_without_its_component_is_refused_in_2_x(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        for variables in ([{"variable": "A"}], [variable("X", "A", connector_id=1)], []):
            done = await staff.command({"type": "get_variables", "variables": variables})
            assert (done["state"], done["result"]["code"]) == ("failed", "NotSupported")


async def test_TC_B_12_a_report_of_several_parts_fills_the_device_model(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        limits = {"dataType": "integer", "supportsMonitoring": True, "minLimit": 0.0}
        first = report(
            {"name": "Connector", "evse": {"id": 1, "connectorId": 2}, "instance": "left"},
            "Power",
            {"value": "11000", "mutability": "ReadOnly"},
            {"type": "MaxSet", "value": "22000"},
            variableCharacteristics=limits,
        )
        assert await told(staff, first, tbc=True) == {}
        second = report({"name": "AuthCtrlr"}, "Enabled", {"value": "true"})
        assert await told(staff, second, seq_no=1) == {}
        (power,) = await staff.variables(evse_id=1, attribute="Actual")
        seen_at = power.pop("seen_at")
        assert power == {
            "component": "Connector",
            "component_instance": "left",
            "evse_id": 1,
            "connector_id": 2,
            "variable": "Power",
            "variable_instance": None,
            "attribute": "Actual",
            "value": "11000",
            "mutability": "ReadOnly",
            "characteristics": limits,
        }
        page = await staff.get("variables", "stations:read", limit=2)
        after = await staff.get("variables", "stations:read", cursor=page["next_cursor"])
        assert [row["value"] for row in page["items"] + after["items"]] == [
            "11000",
            "22000",
            "true",
        ]
        # The same told again is the same row, and newer.
        assert await told(staff, second, seq_no=2) == {}
        (enabled,) = await staff.variables(variable="enabled")
        assert enabled["seen_at"] > seen_at
        assert len(await staff.notifications(action="NotifyReport", request_id=7)) == 3


async def test_a_variable_told_twice_in_a_message_is_stored_once(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        twice = [report({"name": "X"}, "A", {"value": value}) for value in ("1", "2")]
        assert await told(staff, *twice) == {}
        assert plain(await staff.variables()) == [("X", "A", "2")]


async def test_R8_a_station_has_only_so_many_variables(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        await told(staff, report({"name": "X"}, "Known", {"value": "1"}))
        await gateway.execute(
            "insert into variable (operator_id, station_id, component, component_instance, "
            "evse_id, connector_id, variable, variable_instance, attribute, seen_at) "
            "select :operator, :station, 'X', '', 0, 0, n::text, '', 'Actual', now() "
            "from generate_series(2, :count) n",
            operator=OPERATOR,
            station=staff.station_id,
            count=VARIABLES_MAX,
        )
        known = report({"name": "X"}, "Known", {"value": "2"})
        assert await told(staff, known, report({"name": "X"}, "New", {"value": "1"})) == {}
        assert plain(await staff.variables(variable="Known")) == [("X", "Known", "2")]
        assert await staff.variables(variable="New") == []


async def test_write_only_and_secret_values_are_stored_nowhere(gateway: Gateway) -> None:
    secret_value = "s3cret-of-the-station"
    async with staffed(gateway, V201) as staff:
        await told(
            staff,
            report({"name": "X"}, "Pin", {"mutability": "WriteOnly", "value": secret_value}),
            report({"name": "NetworkConfiguration"}, "ApnPassword", {"value": secret_value}),
        )
        about = {
            "component": {"name": "SecurityCtrlr"},
            "variable": {"name": "BasicAuthPassword"},
        }
        command = {
            "type": "set_variables",
            "variables": [variable("SecurityCtrlr", "BasicAuthPassword", value=secret_value)],
        }
        done, calls = await staff.send(
            command, {"setVariableResult": [{"attributeStatus": "Accepted", **about}]}
        )
        assert calls[0][1]["setVariableData"][0]["attributeValue"] == secret_value
        assert secret_value not in json.dumps(done)
        rows = await staff.variables()
        assert plain(rows) == [
            ("X", "Pin", None),
            ("NetworkConfiguration", "ApnPassword", None),
            ("SecurityCtrlr", "BasicAuthPassword", None),
        ]
        # A later value of what is write-only stays out as well.
        name = {"component": {"name": "X"}, "variable": {"name": "Pin"}}
        await staff.send(
            {"type": "set_variables", "variables": [variable("X", "Pin", value="9")]},
            {"setVariableResult": [{"attributeStatus": "Accepted", **name}]},
        )
        assert plain(await staff.variables(variable="Pin")) == [("X", "Pin", None)]
        # All is in the log: its own flush may be under way with what was said last.
        await staff.wire.send("Heartbeat", {}, "the-last")
        await eventually(lambda: within(gateway, "message", staff.station_id, "the-last"))
        for table in ("command", "message", "notification", "variable"):
            assert await found(gateway, table, staff.station_id, secret_value) == []


async def within(gateway: Gateway, table: str, station_id: str, text: str) -> list[str]:
    return [row for row in await texts(gateway, table, station_id) if text in row]


async def found(gateway: Gateway, table: str, station_id: str, text: str) -> list[str]:
    """The rows of a station in which a text occurs."""
    assert await texts(gateway, table, station_id), table
    return await within(gateway, table, station_id, text)


async def texts(gateway: Gateway, table: str, station_id: str) -> list[str]:
    rows = await gateway.service.app.state.beside.gateway.pool.fetch(
        f"select t::text as row from {table} t where station_id = $1", station_id
    )
    return [row["row"] for row in rows]


@pytest.mark.parametrize("end", ["cancelled", "timed_out"])
async def test_a_waiting_password_is_shown_to_nobody_and_kept_by_no_command_that_is_over(
    gateway: Gateway, end: str
) -> None:
    station = await gateway.add_station()
    body = {
        "type": "set_variables",
        "variables": [{"variable": "AuthorizationKey", "value": "waits-in-vain"}],
    }
    async with gateway.service.as_(OPERATOR, "commands:write", "commands:read") as api:
        path = f"/v1/stations/{station}/commands"
        queued = (await api.post(path, json=body)).json()
        assert queued["parameters"]["variables"][0]["value"] == masking.MASK
        path += f"/{queued['id']}"
        if end == "cancelled":
            assert (await api.delete(path)).status_code == 200
        else:
            await gateway.execute(
                "update command set deadline_at = now() where station_id = :station",
                station=station,
            )

        async def over() -> bool:
            return bool((await api.get(path)).json()["state"] == end)

        await eventually(over)

    async def hidden() -> bool:
        return not await found(gateway, "command", station, "waits-in-vain")

    await eventually(hidden)


async def test_a_notified_event_tells_the_value_it_saw(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        event = {
            "eventId": 1,
            "timestamp": stamp(),
            "trigger": "Delta",
            "actualValue": "Occupied",
            "eventNotificationType": "HardWiredNotification",
            "component": {"name": "Connector", "evse": {"id": 2, "connectorId": 1}},
            "variable": {"name": "AvailabilityState"},
        }
        payload = {"generatedAt": stamp(), "seqNo": 0, "eventData": [event]}
        assert await staff.wire.send("NotifyEvent", payload) == {}
        (row,) = await staff.variables(evse_id=2)
        assert (row["variable"], row["value"]) == ("AvailabilityState", "Occupied")
        (kept,) = await staff.notifications(action="NotifyEvent")
        assert kept["payload"]["eventData"] == [event]


async def test_numbers_that_no_evse_has_are_refused_and_nothing_of_the_report_is_stored(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V21) as staff:
        good = report({"name": "X"}, "A", {"value": "1"})
        bad = report({"name": "X", "evse": {"id": -1}}, "A", {"value": "1"})
        code, _ = await told(staff, good, bad)
        assert code == "PropertyConstraintViolation"
        assert await staff.variables() == []


async def test_an_answer_that_is_none_fails_the_command_and_is_not_stored(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V201) as staff:
        done, _ = await staff.send(
            {"type": "get_variables", "variables": [variable("X", "A")]},
            {"getVariableResult": [{"attributeStatus": "Accepted", "attributeValue": "1"}]},
        )
        assert (done["state"], done["result"]["code"]) == (
            "failed",
            "OccurrenceConstraintViolation",
        )
        assert await staff.variables() == []


async def test_TC_019_1_all_configuration_keys_are_read(gateway: Gateway) -> None:
    async with staffed(gateway, V16) as staff:
        keys = [
            {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
            {"key": "NumberOfConnectors", "readonly": True, "value": "2"},
            {"key": "AuthorizationKey", "readonly": False, "value": "leaked"},
            {"key": "Empty", "readonly": False},
        ]
        done, calls = await staff.send(
            {"type": "get_variables", "variables": []}, {"configurationKey": keys}
        )
        assert (done["state"], calls) == ("accepted", [("GetConfiguration", {})])
        assert "leaked" not in json.dumps(done)
        assert plain(await staff.variables()) == [
            (None, "HeartbeatInterval", "300"),
            (None, "NumberOfConnectors", "2"),
            (None, "AuthorizationKey", None),
            (None, "Empty", None),
        ]
        mutability = [row["mutability"] for row in await staff.variables()]
        assert mutability == ["ReadWrite", "ReadOnly", "ReadWrite", "ReadWrite"]


async def test_TC_019_2_some_keys_are_read_and_unknown_ones_forgotten(gateway: Gateway) -> None:
    async with staffed(gateway, V16) as staff:

        def known(**values: str) -> dict[str, Any]:
            keys = [{"key": k, "readonly": True, "value": v} for k, v in values.items()]
            return {"configurationKey": keys}

        await staff.send(
            {"type": "get_variables", "variables": []},
            known(GetConfigurationMaxKeys="2", Old="1"),
        )
        names = ["GetConfigurationMaxKeys", "Old", "New"]
        _, calls = await staff.send(
            {"type": "get_variables", "variables": [{"variable": name} for name in names]},
            known(GetConfigurationMaxKeys="2") | {"unknownKey": ["Old"]},
            known(New="x"),
        )
        assert [payload["key"] for _, payload in calls] == [names[:2], names[2:]]
        assert plain(await staff.variables()) == [
            (None, "GetConfigurationMaxKeys", "2"),
            (None, "New", "x"),
        ]


async def test_TC_021_a_key_is_changed_by_a_call_of_its_own(gateway: Gateway) -> None:
    async with staffed(gateway, V16) as staff:
        values = {"MeterValueSampleInterval": "60", "Refused": "1", "Reboot": "2"}
        done, calls = await staff.send(
            {
                "type": "set_variables",
                "variables": [{"variable": k, "value": v} for k, v in values.items()],
            },
            *({"status": status} for status in ("Accepted", "NotSupported", "RebootRequired")),
        )
        assert calls == [("ChangeConfiguration", {"key": k, "value": v}) for k, v in values.items()]
        assert done["state"] == "rejected"
        assert plain(await staff.variables()) == [
            (None, "MeterValueSampleInterval", "60"),
            (None, "Reboot", "2"),
        ]
        placed = [{"variable": "A", "value": "1", "evse_id": 1}]
        done = await staff.command({"type": "set_variables", "variables": placed})
        assert done["result"]["code"] == "NotSupported"


async def test_another_operators_variables_are_not_there(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        await told(staff, report({"name": "X"}, "A", {"value": "1"}))
        async with gateway.service.as_(uuid4(), "stations:read") as api:
            answer = await api.get(f"/v1/stations/{staff.station_id}/variables")
        assert answer.json()["items"] == []


items = st.lists(st.fixed_dictionaries({"n": st.text("ab", max_size=12)}), max_size=30)


@given(items, st.integers(1, 9), st.none() | st.integers(0, 60))
def test_batches_keep_the_order_and_the_limits(
    given_items: list[dict[str, Any]], items_max: int, bytes_max: int | None
) -> None:
    found = list(batches(given_items, items_max, bytes_max, lambda item: item["n"]))
    assert [item for batch in found for item in batch] == given_items
    for batch in found:
        assert 1 <= len(batch) <= items_max
        assert len({item["n"] for item in batch}) == len(batch)
        size = len(json.dumps(batch, separators=(",", ":"))) - 1  # [a,b]: a comma an item, and [
        assert bytes_max is None or len(batch) == 1 or size <= bytes_max
    if items_max == 1:
        assert len(found) == len(given_items)


def test_what_is_secret_is_known_by_its_name() -> None:
    names = ("BasicAuthPassword", "AuthorizationKey", "apnPassword", "VpnKey", "wifiPassphrase")
    assert all(map(secret, names))
    assert not any(map(secret, ("HeartbeatInterval", "AuthEnabled", "CertSigningWaitMinimum")))


def test_frames_without_secrets_are_logged_as_they_were() -> None:
    text = '[2, "1","SetVariables",{"setVariableData":[{"variable":{"name":"A"}}]}]'
    assert masking.masked("SetVariables", text) == text
    assert masking.masked(None, '[3,"1", {}]') == '[3,"1", {}]'
    profile = {"connectionData": {"vpn": {"key": "k", "password": "p", "user": "u"}}}
    hidden = masking.payload("SetNetworkProfile", profile)["connectionData"]["vpn"]
    assert hidden == {"key": "***", "password": "***", "user": "u"}


json_values = st.recursive(
    st.none() | st.integers() | st.sampled_from(["Password", "WriteOnly", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["variable", "variableAttribute", "value", "key", "name", "vpn", "data", "password"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_no_frame_breaks_the_log(value: Any) -> None:
    for action in ("NotifyReport", "NotifyCustomerInformation", "SetVariables"):
        text = json.dumps([2, "1", action, {"reportData": value, "data": value}])
        masking.masked(action, text)
    masking.masked(None, json.dumps([3, "1", {"x": value}]))
    masking.masked(None, '[3,"1",{"x":' + "[" * 900 + "]" * 900 + "}]")
