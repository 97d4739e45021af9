"""A register that falls within a session: never a wrong amount without somebody looking at it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from billing.rating import price
from billing.rating.course import Reading, Told
from billing.rating.model import NO_RESTRICTIONS, Component, Element, Restrictions, Tariff
from common.events import MeterSample, MeterValuesReported

from .conftest import START, Billing

BERLIN = ZoneInfo("Europe/Berlin")


def sample(minutes: int, value: str) -> MeterSample:
    at = START + timedelta(minutes=minutes)
    return MeterSample(sampled_at=at, value=Decimal(value), unit="Wh")


async def charged(billing: Billing, *readings: tuple[int, str]) -> dict[str, Any]:
    """From 1,000 to 11,000 Wh in two hours, with readings in between: the session."""
    await billing.tariff()
    ended = billing.ended()
    report = billing.report(ended.session_id, [sample(*one) for one in readings])
    await billing.handle(MeterValuesReported(reports=(report,)))
    await billing.handle(ended)
    found: dict[str, Any] = await billing.get(f"sessions/{ended.session_id}")
    return found


@pytest.mark.parametrize(
    ("readings", "detail"),
    [
        ([(30, "10000"), (60, "2000")], "went from 10000 to 2000 Wh"),  # a spike, or a new meter
        ([(30, "500")], "went from 1000 to 500 Wh"),  # below its start
        ([(30, "5000"), (90, "12500")], "went from 12500 to 11000 Wh"),  # above its end
    ],
)
async def test_a_session_whose_register_fell_is_held_for_review(
    billing: Billing, readings: Sequence[tuple[int, str]], detail: str
) -> None:
    session = await charged(billing, *readings)
    (incident,) = session["incidents"]
    assert incident["kind"] == "register_backwards"
    assert detail in incident["detail"]
    assert session["review"] == "pending"
    record = await billing.record(session["id"])
    assert record is not None and record["review"] == "pending"
    journals = "select 1 from journal where record_id = $1"
    assert await billing.stored(journals, record["id"]) == []


@pytest.mark.parametrize(
    "readings",
    [
        [(30, "3000"), (60, "5000")],
        # In tenths of a kWh, while start and end are told in Wh.
        [(1, "950"), (30, "5040"), (31, "5000"), (120, "11040")],
        # In whole kWh.
        [(1, "0"), (30, "5000"), (31, "5400"), (32, "5000"), (120, "12000")],
        # Before the session and after it the register is not the session's.
        [(-10, "90000"), (130, "0")],
    ],
)
async def test_rounding_and_what_lies_outside_of_the_session_are_no_fall(
    billing: Billing, readings: Sequence[tuple[int, str]]
) -> None:
    session = await charged(billing, *readings)
    assert (session["incidents"], session["review"]) == ([], "none")


def test_one_wrong_reading_does_not_make_the_right_ones_after_it_unheard() -> None:
    """10 kWh from 23:00 to 00:30, 0.50 by day and 0.30 from midnight on."""
    began = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
    minutes = {20: 2_222, 40: 9_900, 50: 5_556, 60: 6_667, 75: 8_333}
    readings = [Reading(began + timedelta(minutes=at), Decimal(wh)) for at, wh in minutes.items()]

    def energy(amount: str, restrictions: Restrictions) -> Element:
        component = Component("ENERGY", Decimal(amount), Decimal(19), 1)
        return Element((component,), restrictions)

    night = Restrictions(start_minute=0, end_minute=6 * 60)
    tariff = Tariff(
        "day and night", "EUR", True, (energy("0.30", night), energy("0.50", NO_RESTRICTIONS))
    )
    ended = began + timedelta(minutes=90)
    for some in (readings, readings[:1] + readings[2:]):
        told = Told(began, ended, BERLIN, 10_000, 0, some)
        assert price(told, tariff).total.gross == Decimal("4.33")
