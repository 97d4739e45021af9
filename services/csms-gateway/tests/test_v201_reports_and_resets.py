"""OCPP 2.x, block B: several variables at once, reports that were asked for, resets of sessions."""

from typing import Any

import pytest
from gateway_commands import V21, V201, Staffed, staffed
from gateway_wire import EVSE, Gateway, kinds, stamp

from common.events import BootsReported, SessionEnded

THRESHOLD = {"component": "OCPPCommCtrlr", "variable": "OfflineThreshold"}
REMOTE_START = {"component": "AuthCtrlr", "variable": "AuthorizeRemoteStart"}
BOTH = (THRESHOLD, REMOTE_START)
STATE = {
    "component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "AvailabilityState"},
}  # fmt: skip


def spelt(name: dict[str, str]) -> dict[str, Any]:
    """A variable as OCPP 2.x names it."""
    return {"component": {"name": name["component"]}, "variable": {"name": name["variable"]}}


async def values(staff: Staffed) -> dict[str, str]:
    return {row["variable"]: row["value"] for row in await staff.variables()}


async def told(staff: Staffed, number: int, *parts: list[dict[str, Any]]) -> None:
    """The reports of a request, in parts; an empty part has nothing to tell."""
    for seq_no, part in enumerate(parts):
        report: dict[str, Any] = {
            "requestId": number, "generatedAt": stamp(), "seqNo": seq_no,
            "tbc": seq_no < len(parts) - 1,
        }  # fmt: skip
        if part:
            report["reportData"] = part
        assert await staff.wire.send("NotifyReport", report) == {}


def reported(about: dict[str, Any], value: str) -> dict[str, Any]:
    return about | {"variableAttribute": [{"value": value, "mutability": "ReadOnly"}]}


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_B_07_B06_variables_of_several_components_are_read_in_one_call(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        results = [
            spelt(name) | {"attributeStatus": "Accepted", "attributeValue": value}
            for name, value in ((THRESHOLD, "60"), (REMOTE_START, "true"))
        ]
        command = {"type": "get_variables", "variables": list(BOTH)}
        done, calls = await staff.send(command, {"getVariableResult": results})
        assert calls == [("GetVariables", {"getVariableData": [spelt(name) for name in BOTH]})]
        assert done["state"] == "accepted"
        assert await values(staff) == {"OfflineThreshold": "60", "AuthorizeRemoteStart": "true"}


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_B_10_B05_variables_of_several_components_are_set_in_one_call(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        wanted = [THRESHOLD | {"value": "123"}, REMOTE_START | {"value": "false"}]
        results = [spelt(name) | {"attributeStatus": "Accepted"} for name in BOTH]
        done, ((action, payload),) = await staff.send(
            {"type": "set_variables", "variables": wanted}, {"setVariableResult": results}
        )
        assert action == "SetVariables"
        assert payload == {
            "setVariableData": [
                spelt(THRESHOLD) | {"attributeValue": "123"},
                spelt(REMOTE_START) | {"attributeValue": "false"},
            ]
        }
        assert done["state"] == "accepted"
        assert await values(staff) == {"OfflineThreshold": "123", "AuthorizeRemoteStart": "false"}


@pytest.mark.parametrize("base", ["ConfigurationInventory", "FullInventory", "SummaryInventory"])
@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_B_12_and_13_and_14_B07_a_base_report_is_shown_with_all_its_parts(
    gateway: Gateway, version: str, base: str
) -> None:
    async with staffed(gateway, version) as staff:
        command = {"type": "get_base_report", "report_base": base}
        done, ((action, payload),) = await staff.send(command)
        number = payload.pop("requestId")
        assert (action, payload, done["state"]) == (
            "GetBaseReport", {"reportBase": base}, "accepted",
        )  # fmt: skip
        assert number >= 0
        await told(
            staff, number, [reported(spelt(THRESHOLD), "60")], [reported(STATE, "Available")]
        )
        assert await values(staff) == {"OfflineThreshold": "60", "AvailabilityState": "Available"}
        parts = await staff.notifications(action="NotifyReport", request_id=number)
        assert [one["payload"]["seqNo"] for one in parts] == [1, 0]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_B_18_B08_a_report_by_criteria_may_be_empty(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        numbers = []
        for criterion, status, state in (
            ("Problem", "EmptyResultSet", "rejected"),
            ("Available", "Accepted", "accepted"),
        ):
            command = {
                "type": "get_report", "component_criteria": [criterion],
                "component_variable": [STATE],
            }  # fmt: skip
            done, ((action, payload),) = await staff.send(command, {"status": status})
            numbers.append(payload.pop("requestId"))
            assert (action, payload) == (
                "GetReport",
                {"componentCriteria": [criterion], "componentVariable": [STATE]},
            )
            assert (done["state"], done["result"]) == (state, {"status": status})
        await told(staff, numbers[1], [reported(STATE, "Available")])
        assert await values(staff) == {"AvailabilityState": "Available"}
        assert await staff.notifications(request_id=numbers[0]) == []
        assert len(await staff.notifications(request_id=numbers[1])) == 1


async def test_TC_B_44_B09_FR_03_a_network_profile_that_failed_is_no_success(
    gateway: Gateway,
) -> None:
    profile = {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "messageTimeout": 30,
        "ocppCsmsUrl": "wss://csms.example/ocpp", "securityProfile": 1, "ocppInterface": "Wired0",
    }  # fmt: skip
    command = {
        "type": "set_network_profile", "configuration_slot": 1, "connection_data": profile,
    }  # fmt: skip
    for version in (V201, V21):
        async with staffed(gateway, version) as staff:
            done, calls = await staff.send(command, {"status": "Failed"})
            sent = {"configurationSlot": 1, "connectionData": profile}
            assert calls == [("SetNetworkProfile", sent)]
            assert (done["state"], done["result"]) == ("rejected", {"status": "Failed"})


@pytest.mark.parametrize("evse_id", [None, 1])
@pytest.mark.parametrize(
    ("when", "answer", "ending", "reason"),
    [
        ("on_idle", "Scheduled", ("EVCommunicationLost", "EVDisconnected"), "ScheduledReset"),
        ("immediate", "Accepted", ("ResetCommand", "ImmediateReset"), "RemoteReset"),
    ],
)
@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_B_21_and_22_and_26_and_27_B12_a_reset_lets_a_session_end_or_ends_it(
    gateway: Gateway,
    version: str,
    when: str,
    answer: str,
    ending: tuple[str, str],
    reason: str,
    evse_id: int | None,
) -> None:
    session = {"transaction": f"tx-{when}"}
    async with staffed(gateway, version) as staff:
        await staff.boot()
        await staff.wire.event(
            "Started", 0, "Authorized", token="GOOD", evse=EVSE, wh=100,
            info={"chargingState": "Charging"}, **session,
        )  # fmt: skip
        command = {"type": "reset", "when": when, "evse_id": evse_id}
        done, calls = await staff.send(command, {"status": answer})
        wanted = {"on_idle": "OnIdle", "immediate": "Immediate"}[when]
        assert calls == [
            ("Reset", {"type": wanted} | ({"evseId": evse_id} if evse_id else {})),
        ]  # fmt: skip
        assert (done["state"], done["result"]) == ("accepted", {"status": answer})
        (known,) = await gateway.transactions(station_id=staff.station_id)
        assert known["ended_at"] is None, "it goes on until the station says that it is over"
        trigger, stopped = ending
        seq_no = 1
        if when == "on_idle":
            stop = await staff.wire.event(
                "Updated", 1, "StopAuthorized", token="GOOD",
                info={"chargingState": "EVConnected"}, **session,
            )  # fmt: skip
            assert stop["idTokenInfo"] == {"status": "Accepted"}
            seq_no = 2
        await staff.wire.event(
            "Ended", seq_no, trigger, wh=700, info={"stoppedReason": stopped}, **session
        )
    (over,) = await gateway.told(SessionEnded, station_id=staff.station_id)
    assert (over.id_token, over.energy_wh, over.stop_reason, kinds(over)) == (
        "GOOD", 600, stopped, [],
    )  # fmt: skip
    if evse_id is None:
        async with staffed(gateway, version, staff.station_id) as staff:
            assert (await staff.boot(reason))["status"] == "Accepted"
            status = {"evseId": 1, "connectorId": 1, "timestamp": stamp()}
            idle = status | {"connectorStatus": "Available"}
            assert await staff.wire.send("StatusNotification", idle) == {}
        boots = await gateway.reported(BootsReported, staff.station_id, 2)
        assert [one.generation for one in boots] == [1, 2]
