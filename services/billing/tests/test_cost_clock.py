"""A cost that goes on while no reading comes: by a price of time, by a fee for blocking."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from stack import eventually

from billing.cost_clock import LAG
from billing.running_cost import costs_of
from common.clock import now
from common.database import PLATFORM
from common.events import (
    ChargingStateReport,
    ChargingStatesReported,
    MeterReport,
    MeterSample,
    MeterValuesReported,
)
from services.billing.tests.conftest import Billing
from services.billing.tests.test_running_cost import heard, looked_at

BLOCKING: dict[str, Any] = {
    "elements": [{"price_components": [{"type": "ENERGY", "price": "0.49", "vat": "19"}]}],
    "idle_fee": {"price_per_min": "0.10", "vat": "19", "after_min": 10, "counts": "parking"},
}


def metered(
    billing: Billing, session_id: UUID, wh: int, at: datetime, received_at: datetime
) -> MeterValuesReported:
    sample = MeterSample(
        sampled_at=at, value=Decimal(wh), unit="Wh", measurand="Energy.Active.Import.Register",
        context="Sample.Periodic",
    )  # fmt: skip
    report = MeterReport(
        operator_id=billing.operator_id, station_id="CP-1", evse_id=1, session_id=session_id,
        received_at=received_at, samples=(sample,),
    )  # fmt: skip
    return MeterValuesReported(reports=(report,))


def full(billing: Billing, session_id: UUID, at: datetime) -> ChargingStatesReported:
    report = ChargingStateReport(
        operator_id=billing.operator_id, station_id="CP-1", evse_id=1, session_id=session_id,
        at=at, received_at=at, state="suspended_ev",
    )  # fmt: skip
    return ChargingStatesReported(reports=(report,))


async def gross(billing: Billing, session_id: UUID) -> tuple[Decimal, datetime | None]:
    async with billing.app.state.connections.begin(PLATFORM) as db:
        (found,) = await costs_of(db, [session_id])
    return found.total_gross, found.as_of


def minutes(length: timedelta) -> Decimal:
    return Decimal(length / timedelta(minutes=1))


async def test_time_costs_on_while_no_reading_comes(billing: Billing) -> None:
    await billing.tariff(energy_price="0.40", time_price="1")
    moment = now()
    start = billing.started(started_at=moment - timedelta(minutes=30))
    read_at = moment - timedelta(minutes=20)
    await billing.handle(start, metered(billing, start.session_id, 6_000, read_at, read_at))
    # 5 kWh at 0.40 and 29 minutes: a minute less than it runs, for its clock may be behind.
    total, as_of = await gross(billing, start.session_id)
    after = now()
    assert Decimal("31.00") <= total <= Decimal("31.02") + minutes(after - moment)
    assert as_of and moment <= as_of + LAG <= after


async def test_a_fee_for_blocking_goes_on_once_the_car_is_full(billing: Billing) -> None:
    answer = await billing.http.post(
        "/v1/tariffs",
        json={
            "name": "blocking", "currency": "EUR", "definition": BLOCKING,
            "valid_from": "2026-01-01T00:00:00Z",
        },
        headers=billing.issuer.headers(billing.operator_id, "tariffs:write"),
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    moment = now()
    start = billing.started(started_at=moment - timedelta(minutes=61))
    full_at = moment - timedelta(minutes=31)
    await billing.handle(start, metered(billing, start.session_id, 11_000, full_at, full_at))
    before, _ = await gross(billing, start.session_id)
    assert before == Decimal("4.90")
    await billing.handle(full(billing, start.session_id, full_at))
    # 10 kWh, and 0.10 for each of 30 minutes in which it is full, all past the first ten.
    total, _ = await gross(billing, start.session_id)
    most = Decimal("7.91") + minutes(now() - moment) / 10
    assert Decimal("7.90") <= total <= most


@pytest.mark.parametrize(
    ("received", "price"),
    [
        (timedelta(hours=3), "1"),  # kept while the station was offline
        (timedelta(), "0"),  # time costs nothing
    ],
)
async def test_what_is_delivered_late_or_does_not_go_by_time_stays_at_its_last_reading(
    billing: Billing, received: timedelta, price: str
) -> None:
    await billing.tariff(energy_price="0.40", time_price=price)
    moment = now()
    start = billing.started(started_at=moment - timedelta(hours=4))
    read_at = moment - timedelta(hours=3)
    await billing.handle(
        start, metered(billing, start.session_id, 6_000, read_at, read_at + received)
    )
    total, as_of = await gross(billing, start.session_id)
    assert as_of == read_at
    assert total == 2 + 60 * Decimal(price)


async def test_nobody_goes_on_reckoning_with_a_session_of_which_nothing_is_heard(
    billing: Billing,
) -> None:
    await billing.tariff(energy_price="0.40", time_price="0.01")
    start = billing.started(started_at=now() - timedelta(days=3))
    read_at = now() - timedelta(days=2)
    await billing.handle(start, metered(billing, start.session_id, 6_000, read_at, read_at))
    assert (await gross(billing, start.session_id))[1] == read_at


async def test_it_is_told_when_the_car_is_full(billing: Billing) -> None:
    await billing.tariff()
    start = billing.started(started_at=now() - timedelta(minutes=10))
    async with heard(billing) as told:
        await billing.handle(start)

        async def there(count: int) -> bool:
            return len(told) == count

        await eventually(lambda: there(1))
        await billing.handle(full(billing, start.session_id, now()))
        await eventually(lambda: there(2))


async def test_it_is_told_again_and_again_until_it_is_over(billing: Billing) -> None:
    await billing.tariff(energy_price="0", time_price="100")
    start = billing.started(started_at=now() - timedelta(minutes=10))
    async with heard(billing) as told:
        read_at = now() - timedelta(minutes=9)
        await billing.handle(start, metered(billing, start.session_id, 2_000, read_at, read_at))

        async def three() -> list[Decimal]:
            found = [one.total_gross for one in told if one.session_id == start.session_id]
            return found if len(set(found)) >= 3 else []

        totals = await eventually(three)
        assert totals == sorted(totals)
        await billing.handle(
            billing.ended(session_id=start.session_id, started_at=start.started_at)
        )
        await looked_at(billing)  # what was being told as it ended
        count = len(told)
        await asyncio.sleep(1)
        assert len(told) == count
