"""The least and the most that a session costs, where lines have several rates of VAT or none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.rating import Priced, price
from billing.rating.course import Told
from billing.rating.model import (
    NO_RESTRICTIONS,
    Component,
    Element,
    Limit,
    Modifier,
    Restrictions,
    Tariff,
)
from common.money import to_cents

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CENT = Decimal("0.01")
ROUNDED = 3 * CENT  # one of each rate
Taxes = list[tuple[str | None, str, str, str]]


def component(type_: str, amount: str, vat: str | None) -> Component:
    rate = None if vat is None else Decimal(vat)
    return Component(type=type_, price=Decimal(amount), vat_percent=rate, step_size=1)  # type: ignore[arg-type]


def tariff(*components: Component, limits: dict[str, Limit], gross: bool = True) -> Tariff:
    made = Tariff("mixed", "EUR", gross, (Element(components, NO_RESTRICTIONS),))
    return replace(made, **limits)  # type: ignore[arg-type]


def limit(excl: str | None, incl: str | None) -> Limit:
    return Limit(*(None if one is None else Decimal(one) for one in (excl, incl)))


def charged(kwh: str, of: Tariff) -> Priced:
    energy_wh = int(Decimal(kwh) * 1000)
    return price(Told(START, START + timedelta(hours=1), ZoneInfo("UTC"), energy_wh), of)


def taxes(priced: Priced) -> Taxes:
    return [
        (None if one.vat_percent is None else str(one.vat_percent), str(one.net), str(one.vat),
         str(one.gross))
        for one in priced.total.taxes
    ]  # fmt: skip


BLOCKING = component("TIME", "60", None)
ENERGY = component("ENERGY", "0.50", "19")


@pytest.mark.parametrize(
    ("limits", "kwh", "of", "expected"),
    [
        # 20 with VAT and 60 without: 80, net 76.81. Of 50 and 59.50 the net one is stricter.
        (
            {"max_price": limit("50", "59.50")}, "40", (ENERGY, BLOCKING),
            [(None, "39.06", "0.00", "39.06"), ("19", "10.94", "2.08", "13.02")],
        ),
        (
            {"max_price": limit(None, "40")}, "40", (ENERGY, BLOCKING),
            [(None, "30.00", "0.00", "30.00"), ("19", "8.40", "1.60", "10.00")],
        ),
        # 0.50 with VAT and a fee of 2 without: doubled, which is 4.84 net, above 4.20.
        (
            {"min_price": limit("4.20", "5.00")}, "1", (ENERGY, component("FLAT", "2", None)),
            [(None, "4.00", "0.00", "4.00"), ("19", "0.84", "0.16", "1.00")],
        ),
        # Nothing of it has VAT: net is gross, whatever the limits say of VAT.
        (
            {"max_price": limit("50", "59.50")}, "40", (BLOCKING,),
            [(None, "50.00", "0.00", "50.00")],
        ),
        (
            {"min_price": limit("5", "5.95")}, "1", (component("ENERGY", "0.50", "0"),),
            [("0", "5.95", "0.00", "5.95")],
        ),
        # Several rates: net and gross hold apart, and all of the VAT has a rate of its own.
        (
            {"max_price": limit("10", "11")}, "40", (ENERGY, component("TIME", "60", "7")),
            [("7", "7.70", "0.55", "8.25"), ("19", "2.30", "0.45", "2.75")],
        ),
    ],
)  # fmt: skip
def test_what_has_no_vat_gets_none_and_the_limits_hold(
    limits: dict[str, Limit], kwh: str, of: tuple[Component, ...], expected: Taxes
) -> None:
    assert taxes(charged(kwh, tariff(*of, limits=limits))) == expected


@pytest.mark.parametrize(
    ("limits", "gross", "said"),
    [
        ({"max_price": limit(None, "10")}, True, "at most 10 EUR gross"),
        ({"max_price": limit(None, "10")}, False, "at most 10 EUR gross"),
        ({"max_price": limit("10", None)}, True, "at most 10 EUR net"),
        ({"min_price": limit("50", "59.50")}, True, "at least 50 EUR net and 59.50 EUR gross"),
    ],
)
def test_a_rule_names_a_limit_as_it_was_written(
    limits: dict[str, Limit], gross: bool, said: str
) -> None:
    priced = charged("40", tariff(ENERGY, gross=gross, limits=limits))
    assert priced.lines[-1].rule == f"tariff mixed: a session costs {said}"


def test_a_company_reads_that_the_prices_in_rules_have_vat_in_them() -> None:
    told = Told(START, START + timedelta(hours=1), ZoneInfo("UTC"), 40_000)
    of = tariff(ENERGY, component("FLAT", "1", None), limits={})
    of = replace(of, caps={"ENERGY": Decimal(10)})
    assert [line.rule for line in price(told, of, tax="net").lines] == [
        "tariff mixed: 0.50 EUR a kWh (prices incl. VAT)",
        "tariff mixed: 1 EUR once a session",
        "tariff mixed: energy costs 10 at most (prices incl. VAT)",
    ]
    assert (
        price(told, replace(of, tax_included=False), tax="net").lines[0].rule
        == "tariff mixed: 0.50 EUR a kWh"
    )
    assert price(told, of).lines[0].rule == "tariff mixed: 0.50 EUR a kWh"


rates = st.sampled_from([None, "0", "7", "19"])
prices = st.sampled_from(["0", "0.10", "0.49", "3"])
components = st.tuples(
    st.builds(component, st.just("ENERGY"), prices, rates),
    st.builds(component, st.just("TIME"), prices, rates),
    st.builds(component, st.just("FLAT"), prices, rates),
)
cents = st.integers(1, 6000).map(lambda some: Decimal(some) / 100)
# As somebody writes them: the net one is not above the gross one.
bounds = st.tuples(cents | st.none(), cents | st.none()).map(
    lambda two: Limit(min(two), max(two)) if None not in two else Limit(*two)  # type: ignore[type-var]
)


@given(
    components, bounds, st.sampled_from(["min_price", "max_price"]), st.booleans(), st.booleans()
)
def test_whatever_is_limited_taxes_add_up_and_each_is_its_rates(
    some: tuple[Component, ...], bound: Limit, which: str, gross: bool, both: bool
) -> None:
    one = bound if both or bound.excl_vat is None else Limit(bound.excl_vat, None)
    priced = charged("12.345", tariff(*some, limits={which: one}, gross=gross))
    total = priced.total
    assert total.net + total.vat == total.gross
    assert sum(line.amount for line in priced.lines) == pytest.approx(
        total.gross if gross else total.net, abs=CENT
    )
    for tax in total.taxes:
        assert tax.net + tax.vat == tax.gross
        if not tax.vat_percent:
            assert tax.vat == 0
    said_apart = one.excl_vat is not None and one.incl_vat is not None
    if not said_apart:
        for tax in total.taxes:
            exact = tax.net * (tax.vat_percent or 0) / 100
            assert abs(tax.vat - exact) <= ROUNDED
    holds = {"min_price": 1, "max_price": -1}[which]
    for amount, of in ((one.excl_vat, total.net), (one.incl_vat, total.gross)):
        if amount is not None:
            assert holds * (of - to_cents(amount)) >= -ROUNDED


def free_of_all() -> Modifier:
    of_all: Any = frozenset({"ENERGY", "TIME", "FLAT", "PARKING_TIME"})
    return Modifier(uuid4(), "all", "user", "free", Decimal(0), components=of_all)


@pytest.mark.parametrize("length_s", [2878, 2879, 3600, 5003, 7121])
def test_what_divisions_leave_of_a_session_that_costs_nothing_is_nothing(length_s: int) -> None:
    of = (
        component("ENERGY", "1.37", "19"), component("TIME", "2.5", "7"),
        component("FLAT", "0.33", "7"), component("PARKING_TIME", "1.37", "19"),
    )  # fmt: skip
    ended, full_at = START + timedelta(seconds=length_s), START + timedelta(seconds=length_s // 2)
    told = Told(START, ended, ZoneInfo("UTC"), 6421, states=[(full_at, "suspended_ev")])
    least = tariff(*of, limits={"min_price": limit(None, "2")})
    priced = price(told, least, [free_of_all()])
    assert taxes(priced)[-1] == ("19", "1.68", "0.32", "2.00")
    assert [str(line.amount) for line in priced.lines if line.kind == "minimum"] == ["2.0000"]


def test_a_least_price_has_vat_also_where_nothing_has_a_price() -> None:
    """The first three hours are free of charge, but for it."""
    later = Restrictions(min_duration_s=3 * 3600)
    of = Tariff("late", "EUR", True, (Element((ENERGY,), later),), limit(None, "1.19"))
    assert taxes(charged("10", of)) == [("19", "1.00", "0.19", "1.19")]


def test_a_greatest_price_is_not_a_cent_more_where_one_rate_is_none() -> None:
    of = (component("ENERGY", "0.49", "19"), component("FLAT", "0.50", None))
    most = tariff(*of, limits={"max_price": limit(None, "12")}, gross=False)
    assert charged("25.9", most).total.gross == Decimal("12.00")
