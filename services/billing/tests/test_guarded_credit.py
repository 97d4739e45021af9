"""What running sessions are thought to cost, where readings are late or wrong or quotas shrink."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from stack import eventually

from billing import tables
from billing.running_cost import Ahead, costs_of
from common.clock import now
from common.database import PLATFORM
from common.events import ChargingStatesReported, MeterValuesReported, SessionStarted
from common.ids import uuid7

from .booking import WALLET, booked, opened, top_up
from .conftest import Billing
from .test_cost_clock import full, metered
from .test_discount_quotas import FREE
from .test_discounts import active
from .test_prepaid import begun, held
from .test_sessions import register

WORST = Ahead(120, 150_000)  # 5 kWh further


async def costs(billing: Billing, session_id: UUID, ahead: Ahead = WORST) -> Decimal | None:
    async with billing.app.state.connections.begin(PLATFORM) as db:
        found = await costs_of(db, [session_id], ahead)
    return found[0].total_gross if found else None


async def read(
    billing: Billing, wh: int, ago: timedelta, late: timedelta = timedelta(), **facts: Any
) -> SessionStarted:
    """A session that began an hour ago, with one reading."""
    await billing.tariff()
    at = now() - ago
    start = billing.started(started_at=now() - timedelta(hours=1), **facts)
    reading = metered(billing, start.session_id, 1_000 + wh, at, at + late)
    await billing.handle(start, reading)
    return start


async def test_what_may_have_been_charged_since_the_last_reading_counts_ahead(
    billing: Billing,
) -> None:
    start = await read(billing, 10_000, timedelta(minutes=5))
    found = await costs(billing, start.session_id)
    # 10 kWh, ten more in four minutes with 150 kW (its clock may be a minute behind), five until a
    # stop would arrive.
    assert found is not None and Decimal("12.25") <= found < Decimal("13.30")
    assert await costs(billing, start.session_id, Ahead()) == Decimal("4.90")


async def test_not_more_than_five_minutes_without_a_reading_count_ahead(
    billing: Billing,
) -> None:
    start = await read(billing, 10_000, timedelta(minutes=50))
    assert await costs(billing, start.session_id) == Decimal("13.48")


@pytest.mark.parametrize("state", ["suspended_ev", "suspended_evse", "connected"])
async def test_a_car_that_takes_no_power_has_charged_nothing_since(
    billing: Billing, state: str
) -> None:
    start = await read(billing, 10_000, timedelta(minutes=4))
    at: datetime = now() - timedelta(minutes=3)
    told = full(billing, start.session_id, at).reports[0].model_copy(update={"state": state})
    await billing.handle(ChargingStatesReported(reports=(told,)))
    assert await costs(billing, start.session_id) == Decimal("7.35")


async def test_what_is_delivered_late_says_nothing_of_now(billing: Billing) -> None:
    start = await read(billing, 10_000, timedelta(minutes=40), late=timedelta(minutes=30))
    assert await costs(billing, start.session_id) == Decimal("7.35")


async def test_a_prepaid_session_is_followed_while_no_reading_comes(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "20"))
    session_id = await begun(billing, account, started_at=now() - timedelta(minutes=30))
    at = now() - timedelta(minutes=6)
    await billing.handle(metered(billing, session_id, 9_000, at, at))
    # 8 kWh, then 22 kW for five minutes and two: 2.57 kWh. Five are held at first, and five more.
    await held_between(billing, account, "10.10", "10.30")


async def held_between(billing: Billing, account: UUID, least: str, most: str) -> None:
    async def so() -> bool:
        [row] = await billing.stored("select held from balance where account_id = $1", account)
        return bool(Decimal(least) <= row["held"] <= Decimal(most))

    await eventually(so)


async def test_energy_that_no_car_takes_is_not_known_until_a_better_reading_comes(
    billing: Billing,
) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "20"))
    session_id = await begun(billing, account)
    wrong = billing.report(session_id, [register("1000001000", 600)])
    await billing.handle(MeterValuesReported(reports=(wrong,)))
    assert await costs(billing, session_id, Ahead()) is None
    shown = await billing.get(f"sessions/{session_id}")
    assert (shown["energy_wh"], shown["cost"]) == (None, None)
    right = billing.report(session_id, [register("3000", 660)])
    await billing.handle(MeterValuesReported(reports=(right,)))
    assert await costs(billing, session_id, Ahead()) == Decimal("0.98")
    await held(billing, account, "5")


async def test_an_end_with_energy_that_no_car_takes_makes_no_record(billing: Billing) -> None:
    await billing.tariff()
    ended = billing.ended(energy_wh=1_000_001, meter_stop_wh=1_001_001)
    await billing.handle(ended)
    session = await billing.get(f"sessions/{ended.session_id}")
    assert [one["kind"] for one in session["incidents"]] == ["implausible_energy"]
    assert (session["review"], session["record_id"]) == ("pending", None)


@pytest.mark.parametrize(("taken", "expected"), [(4_000, "1.96"), (12_000, "4.90")])
async def test_a_quota_that_another_session_took_of_is_no_longer_there_for_one_that_runs(
    billing: Billing, taken: int, expected: str
) -> None:
    """Ten kWh a month are free: of them both sessions had all when they began."""
    await billing.tariff()
    at = now() + timedelta(minutes=1)  # the discount has begun by then
    quota = {"unit": "kwh", "size": "10", "per": "user_month"}
    await active(billing, **FREE | {"quota": quota})
    same: dict[str, Any] = {"user_id": uuid7(), "started_at": at}
    running, other = billing.started(**same), billing.started(**same)
    read_at = at + timedelta(minutes=10)
    reading = metered(billing, running.session_id, 11_000, read_at, read_at)
    await billing.handle(running, other, reading)
    assert await costs(billing, running.session_id, Ahead()) == 0
    took = {"energy_wh": taken, "meter_stop_wh": 1_000 + taken, "ended_at": read_at}
    end = billing.ended(session_id=other.session_id, **same | took)
    await billing.handle(end)
    assert await costs(billing, running.session_id, Ahead()) == Decimal(expected)
    async with billing.app.state.connections.begin(PLATFORM) as db:
        assert (await db.get_one(tables.Session, running.session_id)).state == "running"
