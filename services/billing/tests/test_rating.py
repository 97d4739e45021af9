from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.rating import Facts, Priced, Prices, duration_s, energy_cost, rate, total
from common.events import RecordLine
from common.money import to_cents

HOUSE = Prices(
    name="house",
    currency="EUR",
    tax_included=True,
    vat_percent=Decimal(19),
    energy_price=Decimal("0.49"),
    time_price=Decimal(0),
    start_fee=Decimal(0),
)
FULL = replace(HOUSE, time_price=Decimal("0.02"), start_fee=Decimal("0.35"))

prices = st.builds(
    Prices,
    name=st.just("any"),
    currency=st.just("EUR"),
    tax_included=st.booleans(),
    vat_percent=st.decimals(0, 100, places=2),
    energy_price=st.decimals(0, 1000, places=4),
    time_price=st.decimals(0, 1000, places=4),
    start_fee=st.decimals(0, 1000, places=4),
)
facts = st.builds(
    Facts,
    energy_wh=st.integers(0, 10**9),
    duration_s=st.integers(0, 10**7),
    token_accepted=st.booleans(),
)


def charged(energy_wh: int, seconds: int = 3600, tariff: Prices = HOUSE, ok: bool = True) -> Priced:
    return rate(Facts(energy_wh=energy_wh, duration_s=seconds, token_accepted=ok), tariff)


def amounts(priced: Priced) -> tuple[str, str, str]:
    return str(priced.total.net), str(priced.total.vat), str(priced.total.gross)


@pytest.mark.parametrize(
    ("energy_wh", "seconds", "changes", "expected"),
    [
        (10_000, 3600, {}, ("4.12", "0.78", "4.90")),
        (10_000, 3600, {"tax_included": False}, ("4.90", "0.93", "5.83")),
        (10_000, 3600, {"vat_percent": Decimal(0)}, ("4.90", "0.00", "4.90")),
        # 4.90 + 60 min x 0.02 + 0.35
        (
            10_000,
            3600,
            {"time_price": Decimal("0.02"), "start_fee": Decimal("0.35")},
            ("5.42", "1.03", "6.45"),
        ),
        # OCPI 2.2.1, example of an energy price with VAT on top: 20 kWh x 0.25, 10 %
        (
            20_000,
            3600,
            {"energy_price": Decimal("0.25"), "vat_percent": Decimal(10), "tax_included": False},
            ("5.00", "0.50", "5.50"),
        ),
        # Half a cent goes up, once: 0.4950 + 0.0050 is 0.50, not 0.50 + 0.01.
        (
            1_000,
            3600,
            {"energy_price": Decimal("0.495"), "start_fee": Decimal("0.005")},
            ("0.42", "0.08", "0.50"),
        ),
        (500, 3600, {"energy_price": Decimal("0.25")}, ("0.11", "0.02", "0.13")),
        (10_000, 3600, {"energy_price": Decimal(0)}, ("0.00", "0.00", "0.00")),
        (50, 60, {}, ("0.02", "0.00", "0.02")),
    ],
)
def test_worked_cases(
    energy_wh: int, seconds: int, changes: dict[str, Decimal | bool], expected: tuple[str, str, str]
) -> None:
    assert amounts(charged(energy_wh, seconds, replace(HOUSE, **changes))) == expected  # type: ignore[arg-type]


def test_three_sessions_of_3_33_gross_each_say_their_own_vat_and_sum_to_the_cent() -> None:
    each = [charged(6_796) for _ in range(3)]  # 6.796 kWh x 0.49 = 3.33004
    assert [amounts(priced) for priced in each] == [("2.80", "0.53", "3.33")] * 3
    gross = sum(priced.total.gross for priced in each)
    # The invoice takes the VAT of the sum, as to_cents here; that of single sessions drifts.
    assert (gross, to_cents(gross * 19 / Decimal(119))) == (Decimal("9.99"), Decimal("1.60"))
    assert sum(priced.total.vat for priced in each) == Decimal("1.59")


def test_each_line_tells_quantity_price_amount_and_why() -> None:
    energy, time, start = charged(10_123, 3661, FULL).lines
    assert energy == RecordLine(
        kind="energy",
        quantity=Decimal("10.123"),
        unit="kWh",
        unit_price=Decimal("0.49"),
        amount=Decimal("4.9603"),
        rule="tariff house: 0.49 EUR a kWh",
    )
    assert (time.kind, time.quantity, time.amount) == (
        "time",
        Decimal("61.0167"),
        Decimal("1.2203"),
    )
    assert time.rule == "tariff house: 0.02 EUR a minute, by the second (3661 s)"
    assert (start.kind, start.amount) == ("start", Decimal("0.35"))
    assert start.rule == "tariff house: start fee, once a session"


@pytest.mark.parametrize(
    ("energy_wh", "seconds", "accepted", "why"),
    [
        (49, 3600, True, "below 50 Wh nothing is charged: 49 Wh"),
        (0, 3600, True, "below 50 Wh nothing is charged: 0 Wh"),
        (10_000, 59, True, "below 60 s nothing is charged: 59 s"),
        (0, 5, False, "refused: the card was not accepted and 0 Wh were delivered"),
    ],
)
def test_next_to_nothing_costs_nothing_not_even_the_start_fee_and_says_why(
    energy_wh: int, seconds: int, accepted: bool, why: str
) -> None:
    priced = charged(energy_wh, seconds, FULL, accepted)
    assert amounts(priced) == ("0.00", "0.00", "0.00")
    assert [line.rule for line in priced.lines] == [why]


def test_a_refused_card_that_charged_all_the_same_pays() -> None:
    assert charged(10_000, ok=False).total.gross == Decimal("4.90")


def test_negative_energy_is_never_priced() -> None:
    with pytest.raises(ValueError, match="negative"):
        charged(-1)


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [
        (timedelta(seconds=59, microseconds=499_999), 59),
        (timedelta(seconds=59, microseconds=500_000), 60),
        (timedelta(seconds=-5), 0),
        (timedelta(days=2), 172_800),
    ],
)
def test_time_counts_in_whole_seconds(elapsed: timedelta, expected: int) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    assert duration_s(start, start + elapsed) == expected


@given(facts, st.integers(0, 10**6), prices)
def test_more_energy_never_costs_less(of: Facts, more_wh: int, tariff: Prices) -> None:
    more = replace(of, energy_wh=of.energy_wh + more_wh)
    assert rate(of, tariff).total.gross <= rate(more, tariff).total.gross


@given(facts, prices)
def test_the_total_is_the_rounded_sum_of_the_lines(of: Facts, tariff: Prices) -> None:
    priced = rate(of, tariff)
    rounded = to_cents(sum((line.amount for line in priced.lines), Decimal(0)))
    assert rounded == (priced.total.gross if tariff.tax_included else priced.total.net)
    assert priced.total.net + priced.total.vat == priced.total.gross
    assert all(amount.as_tuple().exponent == -2 for amount in vars(priced.total).values())
    assert all(line.amount.as_tuple().exponent == -4 for line in priced.lines)


@given(st.lists(st.integers(0, 10**7), max_size=20), prices)
def test_splitting_energy_never_changes_its_unrounded_price(parts: list[int], of: Prices) -> None:
    split = sum((energy_cost(part, of.energy_price) for part in parts), Decimal(0))
    assert split == energy_cost(sum(parts), of.energy_price)


@given(facts, prices, st.randoms())
def test_the_order_of_the_lines_does_not_matter(of: Facts, tariff: Prices, dice: object) -> None:
    priced = rate(of, tariff)
    lines = list(priced.lines)
    dice.shuffle(lines)  # type: ignore[attr-defined]
    assert total(lines, tariff) == priced.total


@given(facts, prices)
def test_the_share_of_vat_is_right_to_half_a_cent(of: Facts, tariff: Prices) -> None:
    of_it = rate(of, tariff).total
    exact = of_it.net * tariff.vat_percent / 100
    # Gross prices: half a cent on the net moves the VAT by as much, and by its own share.
    assert abs(of_it.vat - exact) <= Decimal("0.005") * (1 + tariff.vat_percent / 100)


def test_a_line_is_rounded_half_up_to_four_places() -> None:
    tariff = replace(HOUSE, energy_price=Decimal("0.001"))
    (line, *_) = charged(52_050, tariff=tariff).lines
    assert line.amount == Decimal("0.0521")  # 0.05205; half-even would say 0.0520
