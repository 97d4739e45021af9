import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import fields

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet import Charger, Faults
from fleet.roam import Outages
from fleet.transaction_queue import Kind, QueueFull, Report, Retry, TransactionQueue

from .fake_csms import FakeCsms


def faulty(csms: FakeCsms, faults: Faults) -> Charger:
    return Charger(csms.url, "FAULTY", delay_s=0.01, faults=faults)


async def test_duplicated_messages_have_new_ids_and_the_same_content(csms: FakeCsms) -> None:
    async with faulty(csms, Faults(duplicate=True)) as charger:
        await charger.wait_ready()
        result = await charger.charge(1, "CARD", duration_s=150, backdate=True)
        await charger.drain()
    assert result.transaction_id == 1
    for action in ("StartTransaction", "MeterValues", "StopTransaction", "Authorize"):
        frames = csms.sent(action)
        contents = Counter(str(frame.payload) for frame in frames)
        assert set(contents.values()) == {2}
        assert len({frame.message_id for frame in frames}) == len(frames)


async def test_a_lost_answer_leads_to_a_retry(csms: FakeCsms) -> None:
    async with faulty(csms, Faults(drop_answers=2)) as charger:
        await charger.wait_ready()
        result = await charger.charge(1, "CARD", duration_s=30, backdate=True)
    assert len(csms.sent("StartTransaction")) == len(csms.sent("StopTransaction")) == 3
    assert len(csms.transactions) == 1
    assert result.transaction_id == 1


async def test_a_clock_in_1970_stays_there(csms: FakeCsms) -> None:
    charger = faulty(csms, Faults())
    charger.faults.clock_offset_s = -charger.clock().timestamp() + 1000
    async with charger:
        await charger.wait_ready()
        await charger.charge(1, "CARD", duration_s=30, backdate=True)
        await charger.drain()
    sent = csms.payloads("StartTransaction") + csms.payloads("StatusNotification")
    assert all(payload["timestamp"].startswith("1970-01-01T00:1") for payload in sent)


async def test_zero_and_missing_transaction_ids(csms: FakeCsms) -> None:
    async with faulty(csms, Faults(zero_transaction_id=True, kilowatt_hours=True)) as charger:
        await charger.wait_ready()
        await charger.charge(1, "CARD", duration_s=90, backdate=True)
        charger.faults.zero_transaction_id = False
        charger.faults.omit_transaction_id = True
        await charger.charge(1, "CARD", duration_s=90, backdate=True)
    first, second = csms.payloads("MeterValues")
    assert first["transactionId"] == 0 and "transactionId" not in second
    assert first["meterValue"][0]["sampledValue"][0]["unit"] == "kWh"
    assert [stop["transactionId"] for stop in csms.payloads("StopTransaction")] == [0, 2]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    switched=st.sets(
        st.sampled_from([fault.name for fault in fields(Faults) if fault.type in {bool, "bool"}]),
    ),
    drop_answers=st.integers(0, 2),
    energy_wh=st.integers(1, 3_000),
)
async def test_a_sessions_energy_is_the_difference_of_its_registers_whatever_the_faults(
    csms: FakeCsms, switched: set[str], drop_answers: int, energy_wh: int
) -> None:
    csms.frames.clear()
    faults = Faults(drop_answers=drop_answers)
    for name in switched:
        setattr(faults, name, True)
    async with Charger(csms.url, "FAULTY", delay_s=0.001, faults=faults, meter_wh=777) as charger:
        await charger.wait_ready()
        result = await charger.charge(1, "CARD", energy_wh=energy_wh, backdate=True)
        await charger.drain()
    stops = csms.payloads("StopTransaction")
    assert len({str(stop) for stop in stops}) == 1
    assert len(stops) == (1 + drop_answers) * (2 if faults.duplicate else 1)
    assert stops[0]["meterStop"] - 777 == result.energy_wh == energy_wh
    starts = csms.payloads("StartTransaction")
    assert bool(starts) != faults.lose_start
    assert all(start["meterStart"] == 777 for start in starts)
    assert bool(csms.garbage) >= faults.garbage


async def test_chargers_cut_at_once_all_come_back(csms: FakeCsms) -> None:
    async with AsyncExitStack() as stack:
        chargers = [
            await stack.enter_async_context(
                Charger(csms.url, f"STORM-{n}", reconnect_min_s=0.02, reconnect_max_s=0.1)
            )
            for n in range(30)
        ]
        await asyncio.gather(*(charger.wait_ready() for charger in chargers))
        storm = asyncio.ensure_future(Outages(0.2).keep_happening(chargers))
        await csms.heard(lambda: len(csms.peers) >= 60)
        storm.cancel()
        await asyncio.gather(*(charger.wait_ready() for charger in chargers))
        await asyncio.gather(*(charger.drain() for charger in chargers))
    assert len(csms.sent("BootNotification")) == 30


async def test_a_lost_start_leaves_a_stop_without_a_transaction(csms: FakeCsms) -> None:
    async with faulty(csms, Faults(lose_start=True)) as charger:
        await charger.wait_ready()
        await charger.charge(1, "CARD", duration_s=30, backdate=True)
    assert csms.sent("StartTransaction") == []
    assert csms.payloads("StopTransaction")[0]["transactionId"] == -1


async def test_garbage_goes_before_each_transaction_message(csms: FakeCsms) -> None:
    async with faulty(csms, Faults(garbage=True)) as charger:
        await charger.wait_ready()
        await charger.charge(1, "CARD", duration_s=90, backdate=True)
    assert len(csms.garbage) == 3


KINDS = {
    "StartTransaction": Kind.START,
    "MeterValues": Kind.UPDATE,
    "StopTransaction": Kind.STOP,
}


def report(action: str, number: int = 0) -> Report:
    return Report(action, lambda: {"n": number}, lambda _answer: None, KINDS[action])


async def test_a_full_queue_loses_meter_values_and_nothing_else() -> None:
    queue = TransactionQueue(4, Retry())
    for action in ("StartTransaction", "MeterValues", "MeterValues", "MeterValues"):
        queue.put(report(action))
    queue.put(report("MeterValues"))
    assert (len(queue), queue.dropped) == (4, 1)
    for _ in range(3):
        queue.put(report("StartTransaction"))
    assert (len(queue), queue.dropped) == (4, 4)
    with pytest.raises(QueueFull):
        queue.put(report("StartTransaction"))
    queue.put(report("StopTransaction"))
    assert len(queue) == 5


async def test_a_long_backdated_session_does_not_overflow_a_small_queue(csms: FakeCsms) -> None:
    async with Charger(csms.url, "SMALL", queue_size=8, sample_interval_s=30) as charger:
        await charger.wait_ready()
        await charger.charge(1, "CARD", duration_s=3600, backdate=True)
    assert len(csms.sent("MeterValues")) == 120
