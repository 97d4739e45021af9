"""What must hold of every price, whatever the session and the tariff."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing.definitions import simple
from billing.rating import Priced, price
from billing.rating.course import Course, Reading, Told, course, seconds
from billing.rating.model import (
    Tariff,
)
from common.events import RecordLine
from common.money import to_cents

VAT = Decimal(19)
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def house(
    energy: str = "0.49", time: str = "0", start: str = "0", vat: str = "19", gross: bool = True
) -> Tariff:
    prices = simple(Decimal(energy), Decimal(time), Decimal(start), Decimal(vat))
    return Tariff("house", "EUR", gross, prices)


def charged(
    energy_wh: int, length_s: int = 3600, tariff: Tariff | None = None, ok: bool = True
) -> Priced:
    told = Told(START, START + timedelta(seconds=length_s), BERLIN, energy_wh)
    return price(told, tariff or house(), token_accepted=ok)


def amounts(priced: Priced) -> tuple[str, str, str]:
    return str(priced.total.net), str(priced.total.vat), str(priced.total.gross)


@pytest.mark.parametrize(
    ("energy_wh", "length_s", "tariff", "expected"),
    [
        (10_000, 3600, house(), ("4.12", "0.78", "4.90")),
        (10_000, 3600, house(gross=False), ("4.90", "0.93", "5.83")),
        (10_000, 3600, house(vat="0"), ("4.90", "0.00", "4.90")),
        # 4.90 + 60 min x 0.02 + 0.35
        (10_000, 3600, house(time="0.02", start="0.35"), ("5.42", "1.03", "6.45")),
        # Half a cent goes up, once: 0.4950 + 0.0050 is 0.50, not 0.50 + 0.01.
        (1_000, 3600, house("0.495", start="0.005"), ("0.42", "0.08", "0.50")),
        (500, 3600, house("0.25"), ("0.11", "0.02", "0.13")),
        (10_000, 3600, house("0"), ("0.00", "0.00", "0.00")),
        (50, 60, house(), ("0.02", "0.00", "0.02")),
    ],
)
def test_simple_prices(
    energy_wh: int, length_s: int, tariff: Tariff, expected: tuple[str, str, str]
) -> None:
    assert amounts(charged(energy_wh, length_s, tariff)) == expected


def test_three_sessions_of_3_33_gross_each_say_their_own_vat_and_sum_to_the_cent() -> None:
    each = [charged(6_796) for _ in range(3)]  # 6.796 kWh x 0.49 = 3.33004
    assert [amounts(priced) for priced in each] == [("2.80", "0.53", "3.33")] * 3
    gross = sum(priced.total.gross for priced in each)
    # The invoice takes the VAT of the sum, as to_cents here; that of single sessions drifts.
    assert (gross, to_cents(gross * 19 / Decimal(119))) == (Decimal("9.99"), Decimal("1.60"))
    assert sum(priced.total.vat for priced in each) == Decimal("1.59")


def test_each_line_tells_quantity_price_amount_and_why() -> None:
    energy, time, start = charged(10_123, 3661, house(time="0.02", start="0.35")).lines
    assert energy == RecordLine(
        kind="energy",
        quantity=Decimal("10.123"),
        unit="kWh",
        unit_price=Decimal("0.49"),
        amount=Decimal("4.9603"),
        rule="tariff house: 0.49 EUR a kWh",
        vat_percent=VAT,
    )
    assert (time.kind, time.quantity, time.unit_price, time.amount) == (
        "time",
        Decimal("61.0167"),
        Decimal("0.02"),
        Decimal("1.2203"),
    )
    assert (start.kind, start.amount) == ("start", Decimal("0.3500"))


@pytest.mark.parametrize(
    ("energy_wh", "length_s", "ok", "why"),
    [
        (49, 3600, True, "below 50 Wh nothing is charged: 49 Wh"),
        (10_000, 59, True, "below 60 s nothing is charged: 59 s"),
        (0, 3600, False, "refused: the card was not accepted and 0 Wh were delivered"),
    ],
)
def test_what_is_too_little_costs_nothing_and_says_why(
    energy_wh: int, length_s: int, ok: bool, why: str
) -> None:
    priced = charged(energy_wh, length_s, house(start="0.35"), ok)
    assert amounts(priced) == ("0.00", "0.00", "0.00")
    assert [line.rule for line in priced.lines] == [why]


@pytest.mark.parametrize(("energy_wh", "length_s"), [(-1, 3600), (1, -1)])
def test_negative_energy_or_time_is_never_priced(energy_wh: int, length_s: int) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        charged(energy_wh, length_s)


def test_a_session_of_more_than_a_year_is_never_priced() -> None:
    with pytest.raises(ValueError, match="longer than a year"):
        charged(10_000, 367 * 86_400)


def test_seconds_are_rounded_half_up() -> None:
    assert seconds(START, START + timedelta(milliseconds=1500)) == 2
    assert seconds(START, START - timedelta(seconds=5)) == -5


@given(st.integers(1, 50), st.integers(0, 200_000))
@example(3, 0)
def test_a_course_ends_where_the_session_does(readings: int, wh: int) -> None:
    told = Told(
        START, START + timedelta(hours=1), BERLIN, wh, 0,
        [Reading(START + timedelta(minutes=i), Decimal(i * 100)) for i in range(readings)],
    )  # fmt: skip
    went: Course = course(told)
    assert went.energies[-1] == wh
    assert list(went.energies) == sorted(went.energies)
    assert list(went.moments) == sorted(set(went.moments))
