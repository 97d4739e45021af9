"""OCPP 2.0.1, N02 to N08: monitors that are listed, set and cleared, and the events they cause."""

from typing import Any

import pytest
from gateway_commands import ACCEPTED, V21, V201, Staffed, staffed
from gateway_wire import Gateway, stamp

POWER = {"component": {"name": "ChargingStation"}, "variable": {"name": "Power"}}
STATION = {"component": {"name": "ChargingStation"}, "variable": {"name": "AvailabilityState"}}
EVSE: dict[str, Any] = {
    "component": {"name": "EVSE", "evse": {"id": 1}},
    "variable": {"name": "AvailabilityState"},
}


def part(
    version: str, number: int, seq_no: int, about: dict[str, Any], *, last: bool = True
) -> dict[str, Any]:
    monitor = {"id": seq_no + 1, "transaction": False, "value": 1, "type": "Delta", "severity": 8}
    if version == V21:
        monitor["eventNotificationType"] = "CustomMonitor"
    return {
        "requestId": number,
        "seqNo": seq_no,
        "tbc": not last,
        "generatedAt": stamp(),
        "monitor": [about | {"variableMonitoring": [monitor]}],
    }


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    ("empty", "full"),
    [
        pytest.param({}, {}, id="TC_N_47"),
        pytest.param({"component_variable": [POWER]}, {"component_variable": [EVSE]}, id="TC_N_02"),
        pytest.param(
            {"monitoring_criteria": ["DeltaMonitoring"], "component_variable": [EVSE]},
            {"monitoring_criteria": ["ThresholdMonitoring"], "component_variable": [POWER]},
            id="TC_N_03",
        ),
        pytest.param(
            {"monitoring_criteria": ["DeltaMonitoring"], "component_variable": [STATION, EVSE]},
            {"monitoring_criteria": ["ThresholdMonitoring"], "component_variable": [STATION, EVSE]},
            id="TC_N_60",
        ),
    ],
)
async def test_TC_N_02_TC_N_03_TC_N_47_TC_N_60_N02_a_report_of_monitors_is_found_by_its_request(
    gateway: Gateway, version: str, empty: dict[str, Any], full: dict[str, Any]
) -> None:
    names = {"monitoring_criteria": "monitoringCriteria", "component_variable": "componentVariable"}
    async with staffed(gateway, version) as staff:
        numbers = []
        for criteria, status, state in (
            (empty, "EmptyResultSet", "rejected"),
            (full, "Accepted", "accepted"),
        ):
            done, ((action, sent),) = await staff.send(
                {"type": "get_monitoring_report", **criteria}, {"status": status}
            )
            numbers.append(sent.pop("requestId"))
            wanted = {names[name]: value for name, value in criteria.items()}
            assert (action, sent) == ("GetMonitoringReport", wanted)
            assert (done["state"], done["result"]) == (state, {"status": status})
        parts = [
            part(version, numbers[1], 0, EVSE, last=False),
            part(version, numbers[1], 1, POWER),
        ]
        for one in (*parts, part(version, numbers[1] + 1000, 0, STATION)):
            assert await staff.wire.send("NotifyMonitoringReport", one) == {}
        assert await staff.notifications(request_id=numbers[0]) == []
        kept = await staff.notifications(request_id=numbers[1])
        assert [one["payload"] for one in reversed(kept)] == parts


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_N_05_TC_N_16_TC_N_17_N03_N05_base_and_level_count_once_they_are_taken(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        for base in ("All", "FactoryDefault", "HardWiredOnly"):
            command = {"type": "set_monitoring_base", "monitoring_base": base}
            done, calls = await staff.send(command)
            assert calls == [("SetMonitoringBase", {"monitoringBase": base})]
            assert done["state"] == "accepted"
        for status, state in (("Accepted", "accepted"), ("Rejected", "rejected")):
            level = {"type": "set_monitoring_level", "severity": 4}
            done, calls = await staff.send(level, {"status": status})
            assert calls == [("SetMonitoringLevel", {"severity": 4})]
            assert (done["state"], done["result"]["status"]) == (state, status)


def delta(about: dict[str, Any]) -> dict[str, Any]:
    return {"value": 1, "type": "Delta", "severity": 8, **about}


def set_result(about: dict[str, Any], status: str = "Accepted") -> dict[str, Any]:
    return about | {"type": "Delta", "severity": 8, "status": status}


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_N_08_TC_N_09_N04_each_monitor_of_a_request_has_its_own_answer(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        for about in ([EVSE], [EVSE, STATION]):
            data = [delta(one) for one in about]
            command = {"type": "set_variable_monitoring", "set_monitoring_data": data}
            answer = {"setMonitoringResult": [set_result(one) for one in about]}
            done, calls = await staff.send(command, answer)
            assert calls == [("SetVariableMonitoring", {"setMonitoringData": data})]
            assert (done["state"], done["result"]) == ("accepted", answer)
        answer = {"setMonitoringResult": [set_result(EVSE), set_result(STATION, "Duplicate")]}
        done, _ = await staff.send(command, answer)
        assert (done["state"], done["result"]) == ("rejected", answer)


async def limited(staff: Staffed, action: str, items_max: int) -> None:
    """The station tells how many monitors it takes in a message."""
    name = {
        "component": {"name": "MonitoringCtrlr"},
        "variable": {"name": "ItemsPerMessage", "instance": action},
    }
    asked = {
        "component": "MonitoringCtrlr", "variable": "ItemsPerMessage", "variable_instance": action,
    }  # fmt: skip
    found = name | {"attributeStatus": "Accepted", "attributeValue": str(items_max)}
    await staff.send(
        {"type": "get_variables", "variables": [asked]}, {"getVariableResult": [found]}
    )


def cleared(*numbers: int, status: str = "Accepted") -> dict[str, Any]:
    return {"clearMonitoringResult": [{"id": one, "status": status} for one in numbers]}


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_N_18_N06_FR_04_no_message_clears_more_monitors_than_the_station_takes(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        await limited(staff, "ClearVariableMonitoring", 2)
        done, calls = await staff.send(
            {"type": "clear_variable_monitoring", "id": [11, 12, 13, 14, 15]},
            cleared(11, 12), cleared(13, 14), cleared(15),
        )  # fmt: skip
        assert calls == [
            ("ClearVariableMonitoring", {"id": numbers}) for numbers in ([11, 12], [13, 14], [15])
        ]
        assert done["state"] == "accepted"


async def test_N04_FR_09_no_message_sets_more_monitors_than_the_station_takes(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V201) as staff:
        await limited(staff, "SetVariableMonitoring", 1)
        data = [delta(EVSE), delta(STATION)]
        done, calls = await staff.send(
            {"type": "set_variable_monitoring", "set_monitoring_data": data},
            {"setMonitoringResult": [set_result(EVSE)]},
            {"setMonitoringResult": [set_result(STATION, "Rejected")]},
        )
        assert [sent["setMonitoringData"] for _, sent in calls] == [data[:1], data[1:]]
        assert done["state"] == "rejected"


@pytest.mark.parametrize("status", ["Rejected", "NotFound"])
async def test_TC_N_44_N06_a_monitor_that_stays_makes_the_command_rejected(
    gateway: Gateway, status: str
) -> None:
    async with staffed(gateway, V201) as staff:
        answer = cleared(1)
        answer["clearMonitoringResult"] += cleared(2, status=status)["clearMonitoringResult"]
        done, _ = await staff.send({"type": "clear_variable_monitoring", "id": [1, 2]}, answer)
        assert (done["state"], done["result"]) == ("rejected", answer)


def event(**changes: Any) -> dict[str, Any]:
    return {
        "eventId": 1,
        "timestamp": stamp(),
        "trigger": "Alerting",
        "actualValue": "80",
        "eventNotificationType": "CustomMonitor",
        "variableMonitoringId": 7,
        "component": {"name": "EVSE", "evse": {"id": 1}},
        "variable": {"name": "Temperature"},
    } | changes


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"cleared": True, "actualValue": "40"}, id="TC_N_49"),
        pytest.param({"trigger": "Periodic", "actualValue": "41"}, id="TC_N_50"),
    ],
)
async def test_TC_N_49_TC_N_50_N07_N08_an_event_is_kept_whole_and_its_value_is_the_variables(
    gateway: Gateway, version: str, changes: dict[str, Any]
) -> None:
    async with staffed(gateway, version) as staff:
        for data in (event(), event(eventId=2, **changes)):
            payload = {"generatedAt": stamp(), "seqNo": 0, "eventData": [data]}
            assert await staff.wire.send("NotifyEvent", payload) == {}
            kept, *_ = await staff.notifications(action="NotifyEvent")
            assert kept["payload"] == payload
            (row,) = await staff.variables(evse_id=1)
            assert (row["component"], row["variable"]) == ("EVSE", "Temperature")
            assert row["value"] == data["actualValue"]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_N_48_N07_an_event_of_a_write_only_variable_has_no_value(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        about = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "VendorKey"}}
        attribute = {"type": "Actual", "mutability": "WriteOnly"}
        report = {
            "requestId": 1, "generatedAt": stamp(), "seqNo": 0,
            "reportData": [about | {"variableAttribute": [attribute]}],
        }  # fmt: skip
        assert await staff.wire.send("NotifyReport", report) == {}
        data = event(actualValue="", trigger="Delta", **about)
        payload = {"generatedAt": stamp(), "seqNo": 0, "eventData": [data]}
        assert await staff.wire.send("NotifyEvent", payload) == {}
        (kept,) = await staff.notifications(action="NotifyEvent")
        assert kept["payload"]["eventData"][0]["actualValue"] == ""
        (row,) = await staff.variables(variable="VendorKey")
        assert (row["value"], row["mutability"]) == (None, "WriteOnly")
        assert (await staff.send({"type": "clear_cache"}, ACCEPTED))[0]["state"] == "accepted"
