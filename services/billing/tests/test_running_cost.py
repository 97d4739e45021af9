"""What a running session costs is told while it runs: absolute, bounded, never too much."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import nats
from nats.aio.msg import Msg
from stack import eventually

from common.events import MeterValuesReported, SessionCostUpdated
from common.ids import uuid7
from services.billing.tests.conftest import START, Billing
from services.billing.tests.test_sessions import register


@asynccontextmanager
async def heard(billing: Billing) -> AsyncIterator[list[SessionCostUpdated]]:
    client = await nats.connect(billing.nats_url)
    found: list[SessionCostUpdated] = []

    async def keep(message: Msg) -> None:
        event = SessionCostUpdated.model_validate_json(message.data)
        if event.operator_id == billing.operator_id:  # those of other tests may go on
            found.append(event)

    await client.subscribe(SessionCostUpdated.subject, cb=keep)
    await client.flush()
    yield found
    await client.close()


async def cost(told: list[SessionCostUpdated], session_id: UUID, gross: str) -> SessionCostUpdated:
    async def there() -> SessionCostUpdated | None:
        of_it = [one for one in told if one.session_id == session_id]
        return of_it[-1] if of_it and of_it[-1].total_gross == Decimal(gross) else None

    found: SessionCostUpdated = await eventually(there)
    return found


async def test_I02_a_session_is_told_at_its_start_and_with_each_reading(billing: Billing) -> None:
    await billing.tariff(start_fee="0.35")
    start = billing.started()
    async with heard(billing) as told:
        await billing.handle(start)
        # Nothing is owed yet, not even the start fee: a car that takes nothing pays nothing.
        first = await cost(told, start.session_id, "0.00")
        assert (first.currency, first.station_id) == ("EUR", "CP-1")
        assert first.operator_id == billing.operator_id
        assert (first.as_of, first.register_wh) == (START, 1_000)
        report = billing.report(start.session_id, [register("11000", 600)])
        await billing.handle(MeterValuesReported(reports=(report,)))
        last = await cost(told, start.session_id, "5.25")
        assert (last.as_of, last.register_wh) == (START + timedelta(seconds=600), 11_000)


async def test_the_price_that_was_locked_at_the_start_counts(billing: Billing) -> None:
    await billing.tariff()
    start = billing.started()
    async with heard(billing) as told:
        await billing.handle(start)
        await billing.tariff(energy_price="0.99", valid_from=None)
        report = billing.report(start.session_id, [register("11000", 600)])
        await billing.handle(MeterValuesReported(reports=(report,)))
        await cost(told, start.session_id, "4.90")


async def test_time_counts_up_to_the_last_reading_so_it_is_never_more_than_is_owed(
    billing: Billing,
) -> None:
    await billing.tariff(energy_price="0", time_price="1")
    start = billing.started()  # months ago: delivered long after it ended
    async with heard(billing) as told:
        report = billing.report(start.session_id, [register("2000", 600)])
        await billing.handle(start, MeterValuesReported(reports=(report,)))
        await cost(told, start.session_id, "10.00")
        await billing.handle(billing.ended(session_id=start.session_id))
    record = await billing.record(start.session_id)
    assert record
    assert record["total_gross"]["amount"] == "120.00"


async def looked_at(billing: Billing) -> None:
    """Until the service has looked at all that was marked before: a session of another operator,
    which it looks at after those, is told of.
    """
    other = Billing.of(billing)
    await other.tariff()
    last = other.started()
    async with heard(other) as told:
        await other.handle(last)
        await cost(told, last.session_id, "0.00")


async def test_what_is_unknown_or_over_is_not_told(billing: Billing) -> None:
    unmetered = billing.started(meter_start_wh=None)
    without_tariff = billing.started()
    async with heard(billing) as told:
        await billing.handle(without_tariff)
        await looked_at(billing)
        await billing.tariff(valid_from=(START - timedelta(hours=1)).isoformat())
        over, last = billing.ended(), billing.started()
        reading = billing.report(over.session_id, [register("11000", 600)])
        await billing.handle(unmetered, over, MeterValuesReported(reports=(reading,)), last)
        await cost(told, last.session_id, "0.00")
        assert {one.session_id for one in told} == {last.session_id}


async def test_I02_a_session_whose_start_was_not_metered_costs_what_its_registers_prove(
    billing: Billing,
) -> None:
    await billing.tariff()
    start = billing.started(meter_start_wh=None)
    async with heard(billing) as told:
        readings = [register("900000"), register("910000", 600)]
        reports = tuple(billing.report(start.session_id, [one]) for one in readings)
        await billing.handle(start, MeterValuesReported(reports=reports))
        await cost(told, start.session_id, "4.90")


async def test_a_meter_that_shows_nonsense_hides_no_cost_of_others(billing: Billing) -> None:
    await billing.tariff()
    broken, unmetered = billing.started(), billing.started(meter_start_wh=None)
    fine = billing.started()
    absurd = [register("9" * 40, 600), register("-" + "9" * 40, 700)]
    of_them = [(broken, absurd), (unmetered, absurd), (fine, [register("11000", 600)])]
    reports = [billing.report(one.session_id, samples) for one, samples in of_them]
    async with heard(billing) as told:
        await billing.handle(broken, unmetered, fine, MeterValuesReported(reports=tuple(reports)))
        await cost(told, fine.session_id, "4.90")
    shown = {one["id"]: one["energy_wh"] for one in (await billing.get("sessions"))["items"]}
    assert [shown[str(one.session_id)] for one, _ in of_them] == [0, None, 10_000]
    kept = await billing.stored(
        "select count(*) as n from meter_sample where session_id = $1", broken.session_id
    )
    assert kept == [{"n": 2}], "as the charger sent them"


async def test_a_session_is_told_at_most_once_in_a_while_with_the_newest(billing: Billing) -> None:
    await billing.tariff()
    start = billing.started()
    began = time.monotonic()
    async with heard(billing) as told:
        await billing.handle(start)
        await cost(told, start.session_id, "0.00")
        for wh in range(2000, 12_000, 1000):
            report = billing.report(start.session_id, [register(str(wh), wh)])
            await billing.handle(MeterValuesReported(reports=(report,)))
        await cost(told, start.session_id, "4.90")
        # Ten readings, far fewer costs, however long the machine takes for them.
        every_s = billing.app.state.parts.settings.running_cost_every_s
        assert len(told) <= 1 + (time.monotonic() - began) / every_s


async def test_no_stream_keeps_running_costs(billing: Billing) -> None:
    client = await nats.connect(billing.nats_url)
    stream = client.jetstream()
    subjects = [(await stream.stream_info(name)).config.subjects for name in ("EVENTS", "METER")]
    await client.close()
    noun = SessionCostUpdated.subject.rsplit(".", 2)[0]
    assert not any(subject.startswith(f"{noun}.") for found in subjects for subject in found or ())
    assert (
        json.loads(
            SessionCostUpdated(
                session_id=uuid7(), station_id="x", total_gross=Decimal("1.20"), currency="EUR"
            ).model_dump_json()
        )["total_gross"]
        == "1.20"
    )
