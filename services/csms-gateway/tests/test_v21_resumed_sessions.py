"""OCPP 2.1: sessions that a reboot interrupts and the station takes up again."""

import asyncio
import json
from typing import Any

import pytest
from gateway_commands import ACCEPTED, V21, Staffed, staffed
from gateway_wire import EVSE, Gateway, kinds, stamp
from stack import eventually

from common.events import BootsReported, SessionEnded
from csms_gateway import transaction_limits
from csms_gateway.charger import Charger
from csms_gateway.commands.records import deliver_soon
from csms_gateway.tables import InstalledChargingProfile

TX = {"transaction": "tx-1"}
PERIODS = [{"start_s": 0, "limit": 11_000}]
PROFILE = {"purpose": "tx", "schedules": [{"unit": "W", "periods": PERIODS}]}
PERSISTENCE = {
    "component": {"name": "SmartChargingCtrlr"},
    "variable": {"name": "ChargingProfilePersistence", "instance": "TxProfile"},
}  # fmt: skip


async def limited(staff: Staffed) -> dict[str, Any]:
    """A session that charges by a profile; the payload that installed it."""
    await staff.boot()
    await staff.wire.event(
        "Started", 0, "Authorized", token="GOOD", evse=EVSE, wh=100,
        info={"chargingState": "Charging"}, **TX,
    )  # fmt: skip
    command = {"type": "set_charging_profile", "evse_id": 1, "profile": PROFILE}
    _, ((_, payload),) = await staff.send(command)
    await kept(staff)
    return payload


async def kept(staff: Staffed) -> None:
    await eventually(lambda: staff.gateway.rows(InstalledChargingProfile, staff.station_id))


async def ended(gateway: Gateway, staff: Staffed, seq_no: int) -> None:
    await staff.wire.event(
        "Ended", seq_no, "EVCommunicationLost", wh=600, info={"stoppedReason": "EVDisconnected"},
        **TX,
    )  # fmt: skip
    (over,) = await gateway.told(SessionEnded, station_id=staff.station_id)
    assert (over.id_token, over.energy_wh, kinds(over)) == ("GOOD", 500, [])


@pytest.mark.parametrize("evse_id", [None, 1])
async def test_B13_FR_31_a_session_that_a_reset_interrupts_gets_its_profile_again(
    gateway: Gateway, evse_id: int | None
) -> None:
    async with staffed(gateway, V21) as staff:
        profile = await limited(staff)
        command = {"type": "reset", "when": "immediate_and_resume", "evse_id": evse_id}
        done, calls = await staff.send(command, ACCEPTED)
        where = {} if evse_id is None else {"evseId": evse_id}
        assert calls == [("Reset", {"type": "ImmediateAndResume"} | where)]
        assert done["state"] == "accepted"
        suspended = {"chargingState": "SuspendedEVSE"}
        await staff.wire.event("Updated", 1, "ResetCommand", info=suspended, **TX)
        if evse_id is not None:  # the EVSE alone is reset, the socket stays
            await resumes(staff, profile)
            await ended(gateway, staff, 3)
            return
    async with staffed(gateway, V21, staff.station_id) as staff:
        assert (await staff.boot("RemoteReset"))["status"] == "Accepted"
        await resumes(staff, profile)
        await ended(gateway, staff, 3)
    boots = await gateway.reported(BootsReported, staff.station_id, 2)
    assert [one.generation for one in boots] == [1, 2]


async def resumes(staff: Staffed, profile: dict[str, Any]) -> None:
    await staff.wire.event("Updated", 2, "TxResumed", info={"chargingState": "Charging"}, **TX)
    assert await staff.asked() == ("SetChargingProfile", profile)
    (known,) = await staff.gateway.transactions(station_id=staff.station_id)
    assert (known["ended_at"], known["charging_state"]) == (None, "Charging")


@pytest.mark.parametrize("persistence", [None, "false", "true"])
async def test_E17_FR_15_a_session_that_a_power_cut_interrupted_goes_on_by_its_profile(
    gateway: Gateway, persistence: str | None
) -> None:
    async with staffed(gateway, V21) as staff:
        profile = await limited(staff)
        if persistence is not None:
            told = PERSISTENCE | {"variableAttribute": [{"value": persistence}]}
            report = {
                "requestId": 1, "seqNo": 0, "generatedAt": "2026-01-01T00:00:00Z",
                "reportData": [told],
            }  # fmt: skip
            assert await staff.wire.send("NotifyReport", report) == {}
    async with staffed(gateway, V21, staff.station_id) as staff:
        await staff.boot("PowerUp")
        info = {"chargingState": "Charging"}
        await staff.wire.event("Updated", 1, "TxResumed", info=info, **TX)
        if persistence == "true":
            await staff.quiet()
        else:
            assert await staff.asked() == ("SetChargingProfile", profile)
        await ended(gateway, staff, 2)


async def test_K15_FR_17_what_follows_from_an_event_is_sent_after_its_answer(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the answer takes: a station would refuse a profile that comes before it."""
    held = gateway.service.app.state.beside

    async def slowly(charger: Charger, *_: Any) -> dict[str, Any]:
        deliver_soon(held.gateway, charger)  # as the sweep does, at any moment
        await asyncio.sleep(0.5)
        return {}

    async with staffed(gateway, V21) as staff:
        profile = await limited(staff)
        with monkeypatch.context() as patched:
            patched.setattr(transaction_limits, "to_tell", slowly)
            info = {"transactionId": "tx-1", "chargingState": "Charging"}
            event = {
                "eventType": "Updated", "timestamp": stamp(), "triggerReason": "TxResumed",
                "seqNo": 1, "transactionInfo": info,
            }  # fmt: skip
            await staff.wire.socket.send(json.dumps([2, "resumed", "TransactionEvent", event]))
            answer = json.loads(await asyncio.wait_for(staff.wire.socket.recv(), 10))
        assert answer == [3, "resumed", {}]
        assert await staff.asked() == ("SetChargingProfile", profile)


async def test_E17_a_dynamic_profile_comes_again_with_its_last_limits(gateway: Gateway) -> None:
    async with staffed(gateway, V21) as staff:
        await staff.wire.event("Started", 0, "Authorized", token="GOOD", evse=EVSE, **TX)
        period = {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": 3000.0}
        schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
        profile = {
            "id": 9, "stackLevel": 2, "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Dynamic", "transactionId": "tx-1",
            "chargingSchedule": [schedule],
        }  # fmt: skip
        payload = {"evseId": 1, "chargingProfile": profile}
        await staff.send({"ocpp": {"action": "SetChargingProfile", "payload": payload}})
        update = {
            "type": "update_dynamic_schedule", "charging_profile_id": 9,
            "schedule_update": {"setpoint": -1500.0},
        }  # fmt: skip
        await staff.send(update)
        await staff.wire.event("Updated", 1, "TxResumed", **TX)
        period["setpoint"] = -1500.0
        assert await staff.asked() == ("SetChargingProfile", payload)


async def test_E17_FR_21_a_session_that_a_power_cut_ended_is_over(gateway: Gateway) -> None:
    async with staffed(gateway, V21) as staff:
        await limited(staff)
    async with staffed(gateway, V21, staff.station_id) as staff:
        await staff.boot("PowerUp")
        await staff.wire.event(
            "Ended", 1, "AbnormalCondition", wh=600, info={"stoppedReason": "PowerLoss"}, **TX
        )
        (over,) = await gateway.told(SessionEnded, station_id=staff.station_id)
        assert (over.energy_wh, over.stop_reason, kinds(over)) == (500, "PowerLoss", [])
        # Its profile ended with it.
        found = await staff.get("charging-profiles", "commands:read")
        assert found["items"] == []
