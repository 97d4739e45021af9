"""OCPP 2.0.1, block B, and the boot of 1.6: who may work, and what is asked of a station."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from gateway_commands import V16, V21, V201, Staffed, staffed
from gateway_wire import OPERATOR, Gateway, stamp
from stack import eventually

from csms_gateway.standing import TRIGGERED_S, Standing
from csms_gateway.tables import UnmatchedMessage

AVAILABLE = {"timestamp": "2026-01-01T00:00:00Z", "evseId": 1, "connectorId": 1}
POWER = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}
REPORT = {"type": "get_base_report", "report_base": "FullInventory"}


async def status(staff: Staffed) -> Any:
    if staff.wire.socket.subprotocol == V16:
        payload = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
        return await staff.wire.send("StatusNotification", payload)
    payload = AVAILABLE | {"connectorStatus": "Available", "timestamp": stamp()}
    return await staff.wire.send("StatusNotification", payload)


async def refused(staff: Staffed) -> bool:
    answer = await status(staff)
    return isinstance(answer, list) and answer[0] == "SecurityError"


@pytest.mark.parametrize("version", [V16, V201, V21])
async def test_TC_B_01_a_known_station_is_accepted(gateway: Gateway, version: str) -> None:
    async with staffed(gateway, version) as staff:
        boot = await staff.boot()
        assert (boot["status"], boot["interval"]) == ("Accepted", 300)
        assert await status(staff) == {}


@pytest.mark.parametrize("version", [V16, V201, V21])
async def test_TC_B_02_a_held_station_is_pending_until_it_is_released_and_boots(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        await staff.register("pending")
        boot = await staff.boot()
        assert (boot["status"], boot["interval"]) == ("Pending", 60)
        # B02.FR.06: the socket stays open, and the station can be configured (B02.FR.01).
        name = {"variable": "A"} if version == V16 else {"variable": "A", "component": "X"}
        about = {"component": {"name": "X"}, "variable": {"name": "A"}}
        answer = (
            {"configurationKey": [{"key": "A", "readonly": False, "value": "1"}]}
            if version == V16
            else {"getVariableResult": [about | {"attributeStatus": "Accepted"}]}
        )
        done, _ = await staff.send({"type": "get_variables", "variables": [name]}, answer)
        assert done["state"] == "accepted"
        told = await staff.register("accepted")
        assert (told["registration"], told["boot_answer"]) == ("accepted", "pending")
        assert (await staff.boot())["status"] == "Accepted"
        assert await status(staff) == {}
        seen = await staff.get("registration", "stations:read")
        assert (seen["registration"], seen["boot_answer"]) == ("accepted", "accepted")


@pytest.mark.parametrize("version", [V16, V201, V21])
@pytest.mark.parametrize("registration", ["pending", "rejected"])
async def test_TC_B_30_a_station_that_is_not_accepted_gets_SecurityError(
    gateway: Gateway, version: str, registration: str
) -> None:
    async with staffed(gateway, version) as staff:
        await staff.register(registration)
        boot = await staff.boot()
        assert boot["status"] == registration.capitalize()
        assert boot["interval"] == 60
        assert await refused(staff)
        code, _ = await staff.wire.send("Heartbeat", {})
        assert code == "SecurityError"


async def test_TC_B_31_a_pending_station_is_triggered_to_boot(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        await staff.register("pending")
        assert (await staff.boot())["status"] == "Pending"
        await staff.register("accepted")
        done, calls = await staff.send({"type": "trigger_message", "message": "BootNotification"})
        assert calls == [("TriggerMessage", {"requestedMessage": "BootNotification"})]
        assert done["state"] == "accepted"
        assert (await staff.boot("Triggered"))["status"] == "Accepted"
        assert await status(staff) == {}


async def test_B02_FR_09_a_pending_station_may_say_what_it_was_asked_for(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        await staff.register("pending")
        await staff.boot()
        assert await refused(staff)
        sending = asyncio.ensure_future(
            staff.command({"type": "trigger_message", "message": "StatusNotification"})
        )
        call = json.loads(await asyncio.wait_for(staff.wire.socket.recv(), 10))
        # The answer and what was triggered in one breath: no time for us between the two.
        payload = AVAILABLE | {"connectorStatus": "Available"}
        await staff.wire.socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
        assert await staff.wire.send("StatusNotification", payload) == {}
        assert (await sending)["state"] == "accepted"
        code, _ = await staff.wire.send("Heartbeat", {})
        assert code == "SecurityError"
        done, _ = await staff.send(REPORT)
        report = {"requestId": done["calls"][0]["payload"]["requestId"], "seqNo": 0}
        assert await staff.wire.send("NotifyReport", report | {"generatedAt": stamp()}) == {}


async def test_B02_FR_05_no_session_is_asked_of_a_pending_station(gateway: Gateway) -> None:
    for version in (V16, V201):
        async with staffed(gateway, version) as staff:
            await staff.register("pending")
            await staff.boot()
            start = {"type": "remote_start", "id_token": "GOOD", "evse_id": 1}
            done = await staff.command(start)
            assert (done["state"], done["result"]["code"]) == ("failed", "SecurityError")
            await staff.register("accepted")
            await staff.boot()
            done, _ = await staff.send(start)
            assert done["state"] == "accepted"


async def test_B03_FR_03_nothing_is_sent_to_a_rejected_station(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        await staff.register("rejected")
        await staff.boot()
        for command in (REPORT, {"type": "trigger_message", "message": "BootNotification"}):
            done = await staff.command(command)
            assert (done["state"], done["result"]["code"]) == ("failed", "SecurityError")
        report = {"requestId": 1, "seqNo": 0, "generatedAt": stamp()}
        assert (await staff.wire.send("NotifyReport", report))[0] == "SecurityError"


async def test_R3_what_a_held_station_tells_of_sessions_is_kept(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        await staff.register("pending")
        await staff.boot()
        code, _ = await staff.wire.event("Started", 0, "CablePluggedIn", transaction="t-1")
        assert code == "SecurityError"
        (kept,) = await gateway.rows(UnmatchedMessage, staff.station_id)
        assert kept.payload["transactionInfo"] == {"transactionId": "t-1"}
    async with staffed(gateway, V16) as staff:
        await staff.register("rejected")
        await staff.boot()
        code, _ = await staff.wire.start("GOOD")
        assert code == "SecurityError"
        (kept,) = await gateway.rows(UnmatchedMessage, staff.station_id)
        assert kept.payload["idTag"] == "GOOD"
        # Of a session that ran when it was held; what names none is the station's, and is not kept.
        for refused_too in (staff.wire.meter(transactionId=17), staff.wire.meter()):
            assert (await refused_too)[0] == "SecurityError"
        _, kept = await gateway.rows(UnmatchedMessage, staff.station_id)
        assert (kept.action, kept.payload["transactionId"]) == ("MeterValues", 17)


async def test_R3_readings_that_a_station_gets_wrong_every_minute_are_in_the_log_alone(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V16) as staff:
        answer = await staff.wire.meter(transactionId=17, meterValue=[{"sampledValue": []}])
        assert answer[0] == "OccurenceConstraintViolation"
        assert await gateway.rows(UnmatchedMessage, staff.station_id) == []


async def test_a_hold_cuts_nobody_off_and_outlives_the_socket(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        await staff.boot("Watchdog")
        await staff.register("pending")
        assert await status(staff) == {}  # it does not know yet
    async with staffed(gateway, V201, staff.station_id) as staff:
        assert await status(staff) == {}  # back after a break, without a boot
        await staff.boot()
        assert await refused(staff)
    async with staffed(gateway, V201, staff.station_id) as staff:
        assert await refused(staff)
        await staff.register("accepted")
        assert await refused(staff)
        assert (await staff.boot())["status"] == "Accepted"
        assert await status(staff) == {}


async def test_registrations_of_other_operators_and_unknown_stations_are_not_there(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    for operator, name in ((uuid4(), station), (OPERATOR, "NOWHERE")):
        async with gateway.service.as_(operator, "stations:read", "stations:write") as api:
            path = f"/v1/stations/{name}/registration"
            assert (await api.get(path)).status_code == 404
            api.headers["If-Match"] = '"1"'
            changed = await api.patch(path, json={"registration": "rejected"})
            assert changed.status_code == 404
            assert (await api.patch(path, json={"registration": "x"})).status_code == 422
    async with gateway.service.as_(OPERATOR, "stations:read") as api:
        seen = (await api.get(f"/v1/stations/{station}/registration")).json()
    assert (seen["registration"], seen["boot_answer"]) == ("accepted", "accepted")


async def test_two_people_do_not_undo_each_other_s_registration_unseen(gateway: Gateway) -> None:
    station = await gateway.add_station()
    path = f"/v1/stations/{station}/registration"
    async with gateway.service.as_(OPERATOR, "stations:read", "stations:write") as api:
        read = (await api.get(path)).headers["ETag"]

        async def change(registration: str, **headers: str) -> Any:
            return await api.patch(path, json={"registration": registration}, headers=headers)

        pending = await change("pending", **{"If-Match": read})
        assert (pending.status_code, pending.json()["registration"]) == (200, "pending")
        assert pending.headers["ETag"] == (await api.get(path)).headers["ETag"] != read
        late = await change("rejected", **{"If-Match": read})
        assert (late.status_code, late.json()["type"].rpartition(":")[2]) == (
            412, "version-changed",
        )  # fmt: skip
        assert (await api.get(path)).json()["registration"] == "pending"
        assert (await change("accepted", **{"If-Match": "*"})).headers["ETag"] == read
        assert (await change("pending")).headers["ETag"] == pending.headers["ETag"]


def test_a_trigger_is_no_licence_for_ever() -> None:
    standing = Standing("pending")
    standing.asked("TriggerMessage", {"requestedMessage": "SignV2GCertificate"}, 100.0)
    assert standing.may_say("SignCertificate", 100.0)
    assert not standing.may_say("Heartbeat", 100.0)
    assert not standing.may_say("SignCertificate", 100.0 + TRIGGERED_S)
    standing.registration = "rejected"
    assert not standing.may_say("SignCertificate", 100.0)
    assert standing.may_say("BootNotification", 0.0)


@contextmanager
def reading_device_models(gateway: Gateway) -> Iterator[None]:
    replica = gateway.service.app.state.beside.gateway
    settings = replica.settings
    replica.settings = settings.model_copy(update={"read_device_model": True})
    try:
        yield
    finally:
        replica.settings = settings


async def over(staff: Staffed, count: int) -> list[str]:
    """The states of the station's commands, newest first, once so many are over."""

    async def look() -> Any:
        async with staff.gateway.service.as_(OPERATOR, "commands:read") as api:
            listed = await api.get(f"/v1/stations/{staff.station_id}/commands")
        states = [one["state"] for one in listed.json()["items"]]
        return len(states) == count and not {"queued", "sent"} & set(states) and states

    states: list[str] = await eventually(look)
    return states


@pytest.mark.parametrize(
    ("told", "again"),
    [
        ({"status": "Rejected"}, True),
        ("InternalError", True),
        ({"status": "NotSupported"}, False),
        ("NotImplemented", False),
    ],
)
async def test_B07_FR_14_a_device_model_that_could_not_be_told_is_asked_for_at_the_next_boot(
    gateway: Gateway, told: dict[str, Any] | str, again: bool
) -> None:
    """Many stations refuse reports right after a boot."""
    async with staffed(gateway, V201) as staff:
        with reading_device_models(gateway):
            await staff.boot(firmware="1.0")
            await staff.asked(told)
            await over(staff, 1)
            await staff.boot(firmware="1.0")
            if again:
                assert (await staff.asked())[0] == "GetBaseReport"
                assert (await over(staff, 2))[0] == "accepted"
                await staff.boot(firmware="1.0")
        await over(staff, 2 if again else 1)


async def test_B07_FR_14_the_device_model_is_read_once_for_each_firmware(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        with reading_device_models(gateway):
            await staff.boot(firmware="1.0")
            action, payload = await staff.asked()
            assert (action, payload["reportBase"]) == ("GetBaseReport", "FullInventory")
            await staff.boot(firmware="1.0")
            await staff.boot(firmware="1.1")
            assert (await staff.asked())[0] == "GetBaseReport"
        async with gateway.service.as_(OPERATOR, "commands:read") as api:
            listed = await api.get(f"/v1/stations/{staff.station_id}/commands")
        assert [one["requested_by"] for one in listed.json()["items"]] == ["csms-gateway"] * 2


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        # TC_B_12, TC_B_13
        (REPORT, {"reportBase": "FullInventory"}),
        (REPORT | {"report_base": "SummaryInventory"}, {"reportBase": "SummaryInventory"}),
        # TC_B_14, TC_B_18
        (
            {
                "type": "get_report",
                "component_criteria": ["Problem"],
                "component_variable": [POWER],
            },
            {
                "componentCriteria": ["Problem"],
                "componentVariable": [POWER],
            },
        ),
    ],
)  # fmt: skip
async def test_TC_B_12_reports_are_asked_for_with_a_number_of_their_own(
    gateway: Gateway, command: dict[str, Any], expected: dict[str, Any]
) -> None:
    async with staffed(gateway, V201) as staff:
        done, ((action, payload),) = await staff.send(command)
        assert action == ("GetReport" if command["type"] == "get_report" else "GetBaseReport")
        number = payload.pop("requestId")
        assert payload == expected
        assert done["state"] == "accepted"
        report = {"requestId": number, "seqNo": 0, "generatedAt": stamp()}
        assert await staff.wire.send("NotifyReport", report) == {}
        (kept,) = await staff.notifications(request_id=number)
        assert kept["payload"] == report


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_B_42_a_network_profile_is_set_and_its_passwords_hidden(
    gateway: Gateway, version: str
) -> None:
    profile = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": "wss://csms.example/ocpp",
        "messageTimeout": 30,
        "securityProfile": 2,
        "ocppInterface": "Wired0",
        "vpn": {
            "server": "vpn.example", "user": "u", "password": "hush", "key": "hush",
            "type": "IPSec",
        },
    }  # fmt: skip
    command = {
        "type": "set_network_profile", "configuration_slot": 1, "connection_data": profile,
    }  # fmt: skip
    async with staffed(gateway, version) as staff:
        done, calls = await staff.send(command)
        assert calls == [("SetNetworkProfile", {"configurationSlot": 1, "connectionData": profile})]
        assert done["state"] == "accepted"
        assert "hush" not in json.dumps(done)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_B_20_TC_B_25_stations_and_evses_are_reset(gateway: Gateway, version: str) -> None:
    async with staffed(gateway, version) as staff:
        for given, expected in (
            ({"when": "on_idle"}, {"type": "OnIdle"}),  # TC_B_20
            ({"when": "immediate"}, {"type": "Immediate"}),  # TC_B_22
            ({"when": "on_idle", "evse_id": 1}, {"type": "OnIdle", "evseId": 1}),  # TC_B_25
        ):
            done, calls = await staff.send({"type": "reset", **given}, {"status": "Scheduled"})
            assert calls == [("Reset", expected)]
            assert done["state"] == "accepted"
