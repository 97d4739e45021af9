"""AFIR: what a driver reads of a price, in the order kWh, minute, session, other."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.price_words import costs_nothing, lines
from billing.rating.model import (
    Component,
    Dimension,
    Element,
    IdleFee,
    Limit,
    Modifier,
    Quota,
    Restrictions,
    Tariff,
    Window,
)
from common.price_words import LANGUAGES

VAT = Decimal(19)


def component(kind: Dimension, price: str, vat: Decimal | None = VAT) -> Component:
    return Component(kind, Decimal(price), vat)


def element(kind: Dimension, price: str, **restrictions: Any) -> Element:
    return Element((component(kind, price),), Restrictions(**restrictions))


def tariff(*elements: Element, **more: Any) -> Tariff:
    given: dict[str, Any] = {"name": "house", "currency": "EUR", "tax_included": True}
    return Tariff(**given | {"elements": elements} | more)


def modifier(**more: Any) -> Modifier:
    given: dict[str, Any] = {
        "id": UUID(int=1), "name": "Members", "scope": "user", "kind": "percent",
        "amount": Decimal(10),
    }  # fmt: skip
    return Modifier(**given | more)


def said(of: Tariff, *modifiers: Modifier, language: str = "en", **more: Any) -> list[str]:
    return [
        f"{line.part}: {line.texts[language]}"
        for line in lines(of, modifiers, ZoneInfo("Europe/Berlin"), **more)
    ]


def test_a_plain_price_is_said_in_both_languages() -> None:
    plain = tariff(
        Element(
            (
                component("FLAT", "0.35"), component("PARKING_TIME", "0.60"),
                component("TIME", "0.60"), component("ENERGY", "0.49"),
            )
        )
    )  # fmt: skip
    assert said(plain) == [
        "energy: 0.49 EUR/kWh", "time: 0.01 EUR/min", "session: 0.35 EUR per session",
        "tax: incl. 19 % VAT",
    ]  # fmt: skip
    assert said(plain, language="de") == [
        "energy: 0,49 EUR/kWh", "time: 0,01 EUR/min", "session: 0,35 EUR je Ladevorgang",
        "tax: inkl. 19 % MwSt.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        (  # worked case: first 10 kWh 0.39, then 0.59
            [element("ENERGY", "0.39", max_wh=Decimal(10_000)), element("ENERGY", "0.59")],
            "0.39 EUR/kWh (up to 10 kWh), otherwise 0.59 EUR/kWh",
        ),
        (
            [element("ENERGY", "0.30", start_minute=1320, end_minute=360)],
            "0.30 EUR/kWh (22:00-06:00), otherwise free",
        ),
        (
            [
                element("ENERGY", "0.30", weekdays=frozenset({5, 6})),
                element("ENERGY", "0.40", weekdays=frozenset(range(5)), min_power_w=Decimal(22500)),
                element("ENERGY", "0.50", start_date=date(2026, 1, 1), end_date=date(2027, 1, 1)),
                element("ENERGY", "0.60"),
                element("ENERGY", "0.70"),  # never reached
            ],
            (
                "0.30 EUR/kWh (Sat Sun), 0.40 EUR/kWh (Mon-Fri, from 22.5 kW), "
                "0.50 EUR/kWh (from 2026-01-01, until 2026-12-31), otherwise 0.60 EUR/kWh"
            ),
        ),
    ],
)
def test_each_condition_is_said_in_the_order_in_which_it_counts(
    elements: list[Element], expected: str
) -> None:
    assert said(tariff(*elements))[0] == f"energy: {expected}"


def test_energy_that_has_a_price_wherever_it_may_flow_is_free_nowhere() -> None:
    day = element("ENERGY", "0.49", start_minute=360, end_minute=1320)
    night = element("ENERGY", "0.29", start_minute=1320, end_minute=360)
    expected = "energy: 0.49 EUR/kWh (06:00-22:00), 0.29 EUR/kWh (22:00-06:00)"
    assert said(tariff(day, night))[0] == expected
    tiers = (element("ENERGY", "0.39", max_wh=10_000), element("ENERGY", "0.59", min_wh=10_000))
    assert "free" not in said(tariff(*tiers))[0]


def test_time_says_whether_it_is_of_charging_or_of_parking() -> None:
    both = tariff(element("TIME", "1.20"), element("PARKING_TIME", "6", min_duration_s=14_400))
    assert said(both)[:-1] == [
        "time: 0.02 EUR/min while charging",
        "time: 0.10 EUR/min (after 240 min), otherwise free while parked",
    ]
    # A price a minute that would have to be rounded is said an hour.
    assert said(tariff(element("TIME", "5.00")))[0] == "time: 5.00 EUR/h while charging"


def test_what_ocpi_does_not_have_is_said_as_other() -> None:
    full = tariff(
        element("ENERGY", "0.49"),
        element("FLAT", "2", reservation="RESERVATION"),
        idle_fee=IdleFee(Decimal("0.10"), VAT, 240, quiet=(1320, 420), max_amount=Decimal(12)),
        caps={"ENERGY": Decimal(20)},
        min_price=Limit(Decimal("0.84"), Decimal("1.00")),
        max_price=Limit(None, Decimal(50)),
    )
    assert said(full) == [
        "energy: 0.49 EUR/kWh",
        "other: reservation: 2 EUR per session",
        (
            "other: 0.10 EUR/min while parked after 240 min from the start "
            "(not 22:00-07:00, at most 12 EUR)"
        ),
        "other: energy at most 20 EUR",
        "other: at least 1.00 EUR",
        "other: at most 50 EUR",
        "tax: incl. 19 % VAT",
    ]


@pytest.mark.parametrize(
    ("gross", "excl", "incl", "of", "words"),
    [
        (True, "10", None, (VAT,), "at most 11.90 EUR"),
        (True, "8.4034", None, (VAT,), "at most 10.00 EUR"),
        (True, None, "10", (VAT,), "at most 10 EUR"),
        (True, "8", "10", (VAT,), "at most 10 EUR"),
        (False, None, "10", (VAT,), "at most 8.40 EUR"),
        (False, "10", None, (VAT,), "at most 10 EUR"),
        (True, "10", None, (None,), "at most 10.00 EUR"),
        (True, "10", None, (VAT, Decimal(7)), "at most 10 EUR plus VAT"),
        (True, "10", None, (VAT, None), "at most 10 EUR plus VAT"),
        (False, None, "10", (VAT, Decimal(7)), "at most 10 EUR incl. VAT"),
        (True, None, "10", (VAT, Decimal(7)), "at most 10 EUR"),
    ],
)
def test_a_limit_is_said_as_the_prices_are_or_says_what_it_is_of(
    gross: bool, excl: str | None, incl: str | None, of: tuple[Decimal | None, ...], words: str
) -> None:
    kinds: tuple[Dimension, ...] = ("ENERGY", "FLAT")
    elements = [
        Element((component(kind, "0.50", vat),)) for kind, vat in zip(kinds, of, strict=False)
    ]
    limit = Limit(*(None if one is None else Decimal(one) for one in (excl, incl)))
    assert f"other: {words}" in said(tariff(*elements, tax_included=gross, max_price=limit))


def test_discounts_say_what_they_take_off_when_and_how_much_of_it() -> None:
    house = tariff(element("ENERGY", "0.49"))
    until = datetime(2026, 7, 4, 16, tzinfo=UTC)
    found = said(
        house,
        modifier(name="Kölner Straße", kind="absolute", amount=Decimal("0.05")),
        modifier(amount=Decimal("10.00"), window=Window(weekdays=frozenset({5}))),
        modifier(name="Event", kind="free", window=Window(until_at=until)),
        modifier(
            name="Night", kind="price", amount=Decimal(3),
            components=frozenset({"TIME", "PARKING_TIME"}),
            window=Window(start_minute=1320, end_minute=360), quota=Quota("s", Decimal(1800)),
        ),
    )  # fmt: skip
    assert found[1:-1] == [
        "discount: Koelner Strasse: -0.05 EUR/kWh",
        "discount: Members: -10 % (energy), Sat",
        "discount: Event: free (energy), until 2026-07-04 18:00",
        "discount: Night: 0.05 EUR/min, 22:00-06:00, for 30 min",
    ]


def test_a_session_that_is_free_says_so_and_nothing_else() -> None:
    assert said(tariff(element("ENERGY", "0.49")), free=True) == ["other: free of charge"]
    assert costs_nothing(tariff(element("ENERGY", "0.00"), element("TIME", "0")))
    assert not costs_nothing(tariff(element("ENERGY", "0"), element("FLAT", "0.01")))
    assert not costs_nothing(tariff(min_price=Limit(None, Decimal(1))))
    assert not costs_nothing(tariff(idle_fee=IdleFee(Decimal(1), VAT, 240)))


@pytest.mark.parametrize(
    ("of", "more", "expected"),
    [
        (tariff(element("ENERGY", "1"), tax_included=False), {}, "plus 19 % VAT"),
        (tariff(Element((component("ENERGY", "1", None),))), {}, "no VAT"),
        (
            tariff(Element((component("ENERGY", "1"), component("FLAT", "1", Decimal(7))))),
            {},
            "incl. VAT",
        ),
        (tariff(element("ENERGY", "1")), {"tax": "reverse_charge"}, "VAT: reverse charge"),
    ],
)
def test_the_tax_is_said_last(of: Tariff, more: dict[str, Any], expected: str) -> None:
    assert said(of, **more)[-1] == f"tax: {expected}"


MINUTES = st.integers(0, 1439)
RESTRICTIONS = st.builds(
    Restrictions,
    start_minute=st.none() | MINUTES,
    end_minute=st.none() | MINUTES,
    weekdays=st.none() | st.frozensets(st.integers(0, 6), min_size=1),
    min_wh=st.none() | st.decimals(0, 100_000, places=0),
    max_duration_s=st.none() | st.integers(1, 100_000),
)
ELEMENTS = st.builds(
    Element,
    st.lists(
        st.builds(
            Component,
            st.sampled_from(["ENERGY", "TIME", "PARKING_TIME", "FLAT"]),
            st.decimals(0, 999, places=4),
            st.sampled_from([None, VAT]),
        ),
        max_size=4,
    ).map(tuple),
    RESTRICTIONS,
)
ORDER = ["energy", "time", "session", "other", "discount", "tax"]


@given(
    elements=st.lists(ELEMENTS, max_size=6).map(tuple),
    names=st.lists(st.text(), max_size=2),
    free=st.booleans(),
)
def test_whatever_the_price_it_is_said_in_ascii_in_order_and_in_every_language(
    elements: tuple[Element, ...], names: list[str], free: bool
) -> None:
    found = lines(
        tariff(*elements),
        [modifier(name=name) for name in names],
        free=free,
        tax="reverse_charge" if free else "as_tariff",
    )
    parts = [line.part for line in found]
    assert parts == sorted(parts, key=ORDER.index) and parts
    assert all(line.texts.keys() == LANGUAGES.keys() for line in found)
    assert all(text.isascii() and text for line in found for text in line.texts.values())


def test_a_company_reads_the_prices_that_it_pays() -> None:
    fee = IdleFee(Decimal("0.119"), VAT, 240, after="charging_end", max_amount=Decimal("11.90"))
    of = tariff(
        Element((component("ENERGY", "0.595"), component("FLAT", "1.07", Decimal(7)))),
        idle_fee=fee,
        caps={"ENERGY": Decimal("23.80")},
        min_price=Limit(None, Decimal("1.19")),
    )
    off = modifier(kind="absolute", amount=Decimal("0.119"))
    for treatment, tax in (("net", "plus VAT"), ("reverse_charge", "VAT: reverse charge")):
        assert said(of, off, tax=treatment) == [
            "energy: 0.50 EUR/kWh",
            "session: 1.00 EUR per session",
            "other: 0.10 EUR/min while parked after 240 min without charging (at most 10.00 EUR)",
            "other: energy at most 20.00 EUR",
            "other: at least 1.19 EUR incl. VAT",
            "discount: Members: -0.10 EUR/kWh",
            f"tax: {tax}",
        ]


def test_the_most_of_a_part_is_said_to_companies_in_cents() -> None:
    fee = IdleFee(Decimal("0.119"), VAT, 0, max_amount=Decimal(5))
    of = tariff(element("ENERGY", "0.595"), idle_fee=fee, caps={"ENERGY": Decimal(10)})
    assert said(of, tax="net")[1:3] == [
        "other: 0.10 EUR/min while parked (at most 4.20 EUR)",
        "other: energy at most 8.40 EUR",
    ]


def test_steps_are_said() -> None:
    of = Element(
        (
            Component("ENERGY", Decimal("0.49"), VAT, step_size=1000),
            Component("TIME", Decimal(6), VAT, step_size=900),
        ),
    )
    assert said(tariff(of))[:2] == [
        "energy: 0.49 EUR/kWh (in steps of 1 kWh)",
        "time: 0.10 EUR/min (in steps of 15 min) while charging",
    ]
    assert said(tariff(of), language="de")[0] == "energy: 0,49 EUR/kWh (in Schritten von 1 kWh)"


def test_the_tax_of_a_fee_is_one_of_the_taxes() -> None:
    fee = IdleFee(Decimal("0.10"), Decimal(7), 0)
    assert said(tariff(element("ENERGY", "1"), idle_fee=fee))[-1] == "tax: incl. VAT"
