"""OCPP 2.0.1, block N: logs, monitors, events and what stations know of customers."""

from typing import Any
from uuid import uuid4

import pytest
from gateway_commands import V201, Staffed, staffed
from gateway_wire import OPERATOR, Gateway, stamp
from stack import eventually

from csms_gateway import customer_information

EVSE: dict[str, Any] = {
    "component": {"name": "EVSE", "evse": {"id": 1}},
    "variable": {"name": "AvailabilityState"},
}
STATION = {
    "component": {"name": "ChargingStation"},
    "variable": {"name": "AvailabilityState"},
}


def delta(**more: Any) -> dict[str, Any]:
    return {"value": 1, "type": "Delta", "severity": 8, **EVSE, **more}


@pytest.mark.parametrize(
    ("command", "action", "payload"),
    [
        # TC_N_01, TC_N_02, TC_N_60
        ({"type": "get_monitoring_report", "monitoring_criteria": ["DeltaMonitoring"],
          "component_variable": [EVSE, STATION]}, "GetMonitoringReport",
         {"monitoringCriteria": ["DeltaMonitoring"], "componentVariable": [EVSE, STATION]}),
        ({"type": "get_monitoring_report"}, "GetMonitoringReport", {}),  # TC_N_47
        # TC_N_05
        ({"type": "set_monitoring_base", "monitoring_base": "HardWiredOnly"}, "SetMonitoringBase",
         {"monitoringBase": "HardWiredOnly"}),
        # TC_N_08, TC_N_09; an id replaces the monitor that has it
        ({"type": "set_variable_monitoring", "set_monitoring_data": [delta(), delta(id=7)]},
         "SetVariableMonitoring", {"setMonitoringData": [delta(), delta(id=7)]}),
        # TC_N_16
        ({"type": "set_monitoring_level", "severity": 4}, "SetMonitoringLevel", {"severity": 4}),
        # TC_N_18
        ({"type": "clear_variable_monitoring", "id": [1, 2, 3]}, "ClearVariableMonitoring",
         {"id": [1, 2, 3]}),
        # TC_N_27 to TC_N_32, TC_N_62, TC_N_63
        ({"type": "customer_information", "report": True, "clear": False,
          "id_token": {"idToken": "GOOD", "type": "Central"}}, "CustomerInformation",
         {"report": True, "clear": False, "idToken": {"idToken": "GOOD", "type": "Central"}}),
        ({"type": "customer_information", "report": False, "clear": True,
          "customer_identifier": "c-1"}, "CustomerInformation",
         {"report": False, "clear": True, "customerIdentifier": "c-1"}),
        # TC_N_34, TC_N_35
        ({"type": "get_log", "location": "https://x/up", "oldest_at": "2030-01-01T00:00:00Z",
          "retries": 1, "retry_interval_s": 5}, "GetLog",
         {"logType": "DiagnosticsLog", "retries": 1, "retryInterval": 5,
          "log": {"remoteLocation": "https://x/up",
                  "oldestTimestamp": "2030-01-01T00:00:00.000Z"}}),
        ({"type": "get_log", "log": "security", "location": "https://x/up",
          "latest_at": "2030-01-01T00:00:00Z"}, "GetLog",
         {"logType": "SecurityLog",
          "log": {"remoteLocation": "https://x/up",
                  "latestTimestamp": "2030-01-01T00:00:00.000Z"}}),
    ],
)  # fmt: skip
async def test_TC_N_01_TC_N_27_TC_N_34_requests_are_sent_with_their_members(
    gateway: Gateway, command: dict[str, Any], action: str, payload: dict[str, Any]
) -> None:
    async with staffed(gateway, V201) as staff:
        answer: dict[str, Any] = {"status": "Accepted"}
        if action == "SetVariableMonitoring":
            about = EVSE | {"type": "Delta", "severity": 8}
            answer = {"setMonitoringResult": [about | {"status": "Accepted", "id": 7}] * 2}
        if action == "ClearVariableMonitoring":
            answer = {"clearMonitoringResult": [{"status": "Accepted", "id": 1}]}
        done, ((sent_action, sent),) = await staff.send(command, answer)
        sent.pop("requestId", None)
        assert (sent_action, sent) == (action, payload)
        assert done["state"] == "accepted"


async def test_TC_N_36_a_second_log_request_has_a_number_of_its_own(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        command = {"type": "get_log", "location": "https://x/up"}
        _, ((_, first),) = await staff.send(command)
        done, ((_, second),) = await staff.send(command, {"status": "AcceptedCanceled"})
        assert first["requestId"] != second["requestId"]
        assert done["state"] == "accepted"


async def test_TC_N_21_TC_N_24_every_kind_of_notice_is_kept_and_answered_empty(
    gateway: Gateway,
) -> None:
    event = {
        "eventId": 1,
        "timestamp": stamp(),
        "trigger": "Alerting",
        "actualValue": "true",
        "eventNotificationType": "HardWiredMonitor",
        "component": {"name": "EVSE"},
        "variable": {"name": "Problem"},
    }
    monitor = {"id": 1, "transaction": False, "value": 1, "type": "Delta", "severity": 8}
    notices: dict[str, dict[str, Any]] = {
        "NotifyEvent": {"generatedAt": stamp(), "seqNo": 0, "eventData": [event]},
        "NotifyMonitoringReport": {
            "requestId": 5,
            "seqNo": 0,
            "generatedAt": stamp(),
            "monitor": [EVSE | {"variableMonitoring": [monitor]}],
        },
        "SecurityEventNotification": {"type": "InvalidMessages", "timestamp": stamp()},
    }
    async with staffed(gateway, V201) as staff:
        for action, payload in notices.items():
            assert await staff.wire.send(action, payload) == {}
            (kept,) = await staff.notifications(action=action)
            assert kept["payload"] == payload
            assert kept["request_id"] == payload.get("requestId")


async def informed(staff: Staffed, request_id: int, *parts: str) -> None:
    for number, data in enumerate(parts):
        payload = {
            "requestId": request_id,
            "data": data,
            "seqNo": number,
            "generatedAt": stamp(),
            "tbc": number + 1 < len(parts),
        }
        assert await staff.wire.send("NotifyCustomerInformation", payload) == {}


async def test_TC_N_27_a_customers_data_is_shown_to_those_who_may_see_users_only(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V201) as staff:
        await informed(staff, 11, "name: Erika", "street: Heidestr.")
        found = await staff.get("customer-information", "users:read", request_id=11)
        shown = [(one["part"], one["last"], one["data"]) for one in found["items"]]
        assert shown == [(0, False, "name: Erika"), (1, True, "street: Heidestr.")]
        path = f"/v1/stations/{staff.station_id}/customer-information"
        async with gateway.service.as_(OPERATOR, "messages:read", "stations:read") as api:
            assert (await api.get(path)).status_code == 403
        async with gateway.service.as_(uuid4(), "users:read") as api:
            assert (await api.get(path)).json()["items"] == []
        assert await staff.notifications() == []

        async def logged() -> list[str]:
            page = await staff.get("messages", "messages:read", action="NotifyCustomerInformation")
            frames = [one["frame"] for one in page["items"] if one["kind"] == "call"]
            return frames if len(frames) == 2 else []

        calls = await eventually(logged)
        assert not [frame for frame in calls if "Erika" in frame or "Heidestr" in frame]


async def test_a_customers_data_is_deleted_after_days(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        await informed(staff, 12, "old")
        await informed(staff, 13, "new")
        await gateway.execute(
            "update notification set received_at = now() - interval '73 hours' "
            "where station_id = :station and request_id = 12",
            station=staff.station_id,
        )
        await customer_information.prune_once(gateway.service.app.state.beside.gateway)
        found = await staff.get("customer-information", "users:read")
        assert [one["data"] for one in found["items"]] == ["new"]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    ("log", "kind"), [("diagnostics", "DiagnosticsLog"), ("security", "SecurityLog")]
)
async def test_TC_N_25_TC_N_35_N01_an_upload_is_followed_by_its_number_to_its_end(
    gateway: Gateway, version: str, log: str, kind: str
) -> None:
    async with staffed(gateway, version) as staff:
        command = {"type": "get_log", "log": log, "location": "https://x/up"}
        done, ((action, sent),) = await staff.send(
            command, {"status": "Accepted", "filename": "a.log"}
        )
        assert (action, sent["logType"]) == ("GetLog", kind)
        assert done["result"] == {"status": "Accepted", "filename": "a.log"}
        for status, outcome in (("Uploading", "running"), ("Uploaded", "done")):
            told = {"status": status, "requestId": sent["requestId"]}
            assert await staff.wire.send("LogStatusNotification", told) == {}
            (upload,) = (await staff.get("log-uploads", "messages:read"))["items"]
            assert (upload["status"], upload["outcome"]) == (status.lower(), outcome)
            assert (upload["request_id"], upload["command_id"]) == (sent["requestId"], done["id"])
