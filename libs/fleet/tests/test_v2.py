"""Chargers of OCPP 2.0.1 and 2.1; the other end validates every frame by the official schemas."""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet import Charger, ChargeResult, Faults, Vehicle

from .fake_csms import FakeCsms
from .second import TOKEN, VERSIONS, charger_of


def register_wh(event: dict[str, Any]) -> float:
    sampled = event["meterValue"][0]["sampledValue"][0]
    assert sampled["measurand"] == "Energy.Active.Import.Register"
    scale = 1000 if sampled["unitOfMeasure"]["unit"] == "kWh" else 1
    return float(sampled["value"]) * scale


@pytest.mark.parametrize("version", VERSIONS)
async def test_E01_a_whole_session_is_one_transaction_of_the_charger(
    csms: FakeCsms, version: str
) -> None:
    csms.total_cost = 4.5
    lines: list[str] = []
    async with charger_of(csms, version, meter_wh=1_000_000, on_event=lines.append) as charger:
        await charger.wait_ready()
        result = await charger.charge(1, "04A2B3C4", energy_wh=1_500)
        await charger.drain()
    boot = csms.payloads("BootNotification")[0]
    assert boot["reason"] == "PowerUp"
    assert boot["chargingStation"]["vendorName"] == "OpenLade"
    events = csms.events()
    assert [event["seqNo"] for event in events] == list(range(len(events)))
    kinds = [event["eventType"] for event in events]
    assert (kinds[0], kinds[-1], set(kinds[1:-1])) == ("Started", "Ended", {"Updated"})
    assert {event["transactionInfo"]["transactionId"] for event in events} == {
        result.transaction_id
    }
    started, ended = events[0], events[-1]
    assert started["triggerReason"] == "Authorized"
    assert started["idToken"] == {"idToken": "04A2B3C4", "type": "ISO14443"}
    assert started["evse"] == {"id": 1, "connectorId": 1}
    assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == (
        "StopAuthorized",
        "Local",
    )
    assert register_wh(ended) - register_wh(started) == result.energy_wh == 1_500
    assert "ChargingStateChanged" in {event["triggerReason"] for event in events}
    assert not any(event.get("offline") for event in events)
    assert csms.statuses(1) == ["Available", "Occupied", "Available"]
    assert any(line.endswith("costs 4.50") for line in lines)


@pytest.mark.parametrize("version", VERSIONS)
async def test_E12_an_offline_session_is_marked_and_delivered_with_its_own_times(
    csms: FakeCsms, version: str
) -> None:
    async with charger_of(csms, version, allow_offline=True) as charger:
        await charger.wait_ready()
        await charger.go_offline()
        await charger.plug_in(1, Vehicle())
        earliest = charger.clock()
        assert await charger.tap(1, "04A2B3C4") == "Accepted"
        latest = charger.clock()
        await asyncio.sleep(0.3)
        await charger.unplug(1)
        await charger.go_online()
        await charger.drain()
    events = csms.events()
    assert all(event["offline"] for event in events)
    assert events[-1]["transactionInfo"]["stoppedReason"] == "EVDisconnected"
    started_at = datetime.fromisoformat(events[0]["timestamp"])
    assert earliest - timedelta(milliseconds=1) <= started_at <= latest  # whole milliseconds
    assert len(csms.sent("BootNotification")) == 1


@pytest.mark.parametrize("version", VERSIONS)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_a_sessions_energy_is_the_difference_of_its_registers_whatever_the_faults(
    csms: FakeCsms, version: str, data: st.DataObject
) -> None:
    """What did arrive of a session, in whatever order and number, leads to the same energy."""
    faults = Faults(
        duplicate=data.draw(st.booleans()),
        drop_answers=data.draw(st.integers(0, 1)),
        kilowatt_hours=data.draw(st.booleans()),
        lose_start=data.draw(st.booleans()),
        lose_updates=data.draw(st.booleans()),
        reorder=data.draw(st.booleans()),
        garbage=data.draw(st.booleans()),
        clock_offset_s=data.draw(st.sampled_from([0, 3600, -1_700_000_000])),
    )
    energy_wh = data.draw(st.integers(1, 3_000))
    csms.frames.clear()
    async with charger_of(csms, version, delay_s=0.001, faults=faults, meter_wh=777) as charger:
        await charger.wait_ready()
        result = await charger.charge(1, "CARD", energy_wh=energy_wh, backdate=True)
        await charger.drain()
    assert result.energy_wh == energy_wh
    told = {event["seqNo"]: event for event in csms.events()}
    assert sorted(told) == list(dict.fromkeys(sorted(event["seqNo"] for event in csms.events())))
    assert result.meter_start_wh == 777
    last = told[max(told)]
    assert last["eventType"] == "Ended"
    assert round(register_wh(last)) - 777 == energy_wh
    if not faults.lose_start:
        assert round(register_wh(told[0])) == 777
        assert told[0]["eventType"] == "Started"
    # However late a reading comes, its number tells where it belongs.
    registers = [register_wh(told[number]) for number in sorted(told)
                 if "meterValue" in told[number]]  # fmt: skip
    assert registers == sorted(registers)


async def test_faults_of_order_and_loss_look_as_they_should(csms: FakeCsms) -> None:
    faults = Faults(reorder=True)
    async with charger_of(csms, "2.0.1", faults=faults) as charger:
        await charger.wait_ready()
        await charger.charge(1, "CARD", duration_s=200, backdate=True)
        await charger.drain()
        assert [event["seqNo"] for event in csms.events()] == [0, 2, 1, 4, 3]
        faults.reorder = False
        faults.lose_updates = True
        csms.frames.clear()
        await charger.charge(1, "CARD", duration_s=200, backdate=True)
        assert [event["seqNo"] for event in csms.events()] == [0, 4]
        faults.lose_start = True
        csms.frames.clear()
        await charger.charge(1, "CARD", duration_s=200, backdate=True)
        assert [event["eventType"] for event in csms.events()] == ["Ended"]


async def test_F01_a_remote_start_carries_its_id_and_its_token(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    charger, call = two
    await charger.plug_in(1, Vehicle())
    profile = {
        "id": 5,
        "stack_level": 0,
        "charging_profile_purpose": "TxProfile",
        "charging_profile_kind": "Relative",
        "charging_schedule": [
            {
                "id": 1,
                "charging_rate_unit": "W",
                "charging_schedule_period": [{"start_period": 0, "limit": 3000}],
            }
        ],
    }
    start = call.RequestStartTransaction(
        id_token=TOKEN, remote_start_id=77, evse_id=1, charging_profile=profile
    )
    assert (await csms.command(start)).status == "Accepted"
    await csms.until("TransactionEvent", 3)
    started = csms.events("Started")[0]
    assert started["triggerReason"] == "RemoteStart"
    assert started["transactionInfo"]["remoteStartId"] == 77
    assert started["idToken"] == {"idToken": "APP1", "type": "Central"}
    transaction_id = started["transactionInfo"]["transactionId"]
    status = await csms.command(call.GetTransactionStatus(transaction_id=transaction_id))
    assert status.ongoing_indicator is True
    powers = [
        sampled["value"]
        for event in csms.events("Updated")
        for sampled in event.get("meterValue", [{"sampledValue": []}])[0]["sampledValue"]
        if sampled["measurand"] == "Power.Active.Import"
    ]
    assert powers and max(powers) <= 3000
    stop = call.RequestStopTransaction(transaction_id=transaction_id)
    assert (await csms.command(stop)).status == "Accepted"
    await charger.drain()
    assert csms.events("Ended")[0]["triggerReason"] == "RemoteStop"
    assert (await csms.command(stop)).status == "Rejected"


async def test_a_slow_reader_answers_late_and_loses_nothing(csms: FakeCsms) -> None:
    faults = Faults(slow_reader_s=0.05)
    async with charger_of(csms, "2.0.1", faults=faults) as charger:
        await charger.wait_ready()
        began = asyncio.get_running_loop().time()
        result = await charger.charge(1, "CARD", energy_wh=500, backdate=True)
        assert asyncio.get_running_loop().time() - began > 0.05 * len(csms.events())
        ended_by = charger.clock()
    assert isinstance(result, ChargeResult) and result.energy_wh == 500
    times = [datetime.fromisoformat(event["timestamp"]) for event in csms.events()]
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert times[-1] <= ended_by
