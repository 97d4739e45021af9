"""Which tariffs are refused, for they would not mean what whoever wrote them thinks."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from billing.definitions import WEEKDAYS, Definition, compile_restrictions, problem
from billing.holes import hole, week
from billing.rating.calendar import within
from billing.rating.model import Restrictions


def energy(price: str, **restrictions: Any) -> dict[str, Any]:
    component = {"type": "ENERGY", "price": price, "vat": "19"}
    return {"price_components": [component], "restrictions": restrictions or None}


def refused(*elements: dict[str, Any], **more: Any) -> str:
    try:
        definition = Definition.model_validate({"elements": list(elements)} | more)
    except ValidationError as error:
        return str(error)
    return problem(definition, SINCE) or ""


SINCE = date(2026, 1, 1)
FEE = {"price_per_min": "0.10", "after_min": 240}
OTHERWISE = energy("0.59")
MORNING = {"start_time": "00:00", "end_time": "12:00"}
EVENING = {"start_time": "12:00", "end_time": "00:00"}


@pytest.mark.parametrize(
    "hiding",
    [
        [OTHERWISE],
        [energy("0.39", start_time="00:00")],
        [energy("0.39", start_time="00:00", end_time="00:00")],
        [energy("0.39", **MORNING), energy("0.49", **EVENING)],
        [
            energy("0.39", **MORNING),
            energy("0.49", **EVENING, day_of_week=["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY"]),
            energy("0.49", **EVENING, day_of_week=["FRIDAY", "SATURDAY", "SUNDAY"]),
        ],
    ],
)
def test_what_can_never_count_is_refused(hiding: list[dict[str, Any]]) -> None:
    said = refused(*hiding, energy("0.29"))
    assert f"element {len(hiding) + 1} overlaps" in said
    assert "overlaps" in refused(*hiding, energy("0.29", max_kwh="10"))


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ({"max_kwh": "20"}, {"max_kwh": "10"}),
        ({"min_kwh": "5"}, {"min_kwh": "5", "max_kwh": "9"}),
        ({"min_power": "11"}, {"min_power": "22"}),
        ({"max_duration": 3600}, {"max_duration": 1800}),
        ({"start_date": "2026-01-01"}, {"start_date": "2026-02-01", "end_date": "2026-03-01"}),
        ({"day_of_week": ["MONDAY", "SUNDAY"]}, {"day_of_week": ["SUNDAY"]}),
        (
            {"start_time": "22:00", "end_time": "06:00"},
            {"start_time": "23:00", "end_time": "05:00"},
        ),
    ],
)
def test_what_holds_only_where_one_before_does_is_refused(
    wide: dict[str, Any], narrow: dict[str, Any]
) -> None:
    assert "element 2 overlaps" in refused(
        energy("0.39", **wide), energy("0.29", **narrow), OTHERWISE
    )
    assert not refused(energy("0.29", **narrow), energy("0.39", **wide), OTHERWISE)


def test_what_can_count_somewhere_is_taken() -> None:
    assert not refused(energy("0.39", min_current="0"), OTHERWISE)  # a current that nobody tells
    assert not refused(energy("0.39", min_kwh="10"), energy("0.29", max_kwh="20"), OTHERWISE)
    weekend = {"day_of_week": ["SATURDAY", "SUNDAY"]}
    assert not refused(energy("0.39", **MORNING), energy("0.29", **weekend), OTHERWISE)


def test_a_minute_of_the_week_without_a_price_is_a_hole() -> None:
    assert "from MONDAY 12:00 until TUESDAY 00:00 energy" in refused(energy("0.39", **MORNING))
    days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"]
    whole = energy("0.39", day_of_week=days)
    night = energy("0.29", day_of_week=["SUNDAY"], start_time="22:00", end_time="21:30")
    assert "from SUNDAY 21:30 until SUNDAY 22:00 energy" in refused(whole, night)
    assert not refused(whole, night, gaps_are_free=True)
    assert not refused(energy("0.39", **MORNING), energy("0.29", **EVENING))


NIGHT = {"start_time": "22:00", "end_time": "06:00"}
SUMMER = {"start_date": "2026-06-01", "end_date": "2026-09-01"}


@pytest.mark.parametrize(
    ("elements", "where"),
    [
        ([{"end_date": "2026-06-01"}], "from 2026-06-01 on energy"),
        ([{"end_date": "2025-06-01"}], "a hole: energy never has a price"),
        ([{"end_date": "2026-06-01"}, {"start_date": "2026-07-01"}],
         "from 2026-06-01 until 2026-07-01 energy"),
        ([{"start_date": "2026-02-01"}], "from 2026-01-01 until 2026-02-01 energy"),
        ([{"max_kwh": "10"}], "from 10 kWh on energy"),
        ([{"max_kwh": "10"}, {"min_kwh": "20"}], "from 10 kWh until 20 kWh energy"),
        ([{"min_kwh": "0.5"}], "below 0.5 kWh energy"),
        ([{"start_time": "06:00", "end_time": "22:00"},
          {"start_time": "22:00", "end_time": "23:00", "max_kwh": "5"}],
         "from MONDAY 23:00 until TUESDAY 06:00 energy"),
        ([{"start_time": "06:00", "end_time": "22:00"}, NIGHT | {"max_kwh": "5"}],
         "from 5 kWh on, from MONDAY 22:00 until TUESDAY 06:00 energy"),
        ([SUMMER | {"max_kwh": "5"}, {"min_kwh": "5"}],
         "from 2026-01-01 until 2026-06-01, below 5 kWh energy"),
        ([{"max_duration": 3600}], "from 3600 s on energy"),
        ([{"max_power": "11"}], "from 11 kW on energy"),
        ([{"max_power": "11", "max_kwh": "5"}, {"min_power": "11"}],
         "from 5 kWh on, below 11 kW energy"),
        # A current that a station does not tell is within no limits.
        ([{"max_current": "16"}, {"min_current": "16"}],
         "where a station tells no current energy"),
        # The 1st and the 2nd of June 2026 are a Monday and a Tuesday.
        ([{"end_date": "2026-06-01"}, {"start_date": "2026-06-03"},
          {"day_of_week": ["MONDAY"]}], "from TUESDAY 00:00 until"),
        ([{"max_kwh": "10", "reservation": "RESERVATION"}, {"max_kwh": "10"}],
         "from 10 kWh on energy"),
    ],
)  # fmt: skip
def test_what_lies_between_or_beyond_what_has_a_price_is_a_hole(
    elements: list[dict[str, Any]], where: str
) -> None:
    written = [energy("0.39", **one) for one in elements]
    assert where in refused(*written)
    assert not refused(*written, gaps_are_free=True)
    assert not refused(*written, OTHERWISE)


@pytest.mark.parametrize(
    "elements",
    [
        [{"end_date": "2026-06-01"}, {"start_date": "2026-06-01"}],
        [{"start_date": "2026-01-01"}],  # before it the version does not hold
        [{"max_kwh": "10"}, {"min_kwh": "10"}],
        [{"max_power": "11"}, {"min_power": "11"}],
        [{"max_duration": 600}, {"min_duration": 300}],
        [SUMMER | NIGHT, SUMMER | {"start_time": "06:00", "end_time": "22:00", "max_kwh": "5"},
         SUMMER | {"min_kwh": "5"}, {"end_date": "2026-06-01"}, {"start_date": "2026-09-01"}],
        # The 1st of June 2026 is a Monday.
        [{"end_date": "2026-06-01"}, {"start_date": "2026-06-02"}, {"day_of_week": ["MONDAY"]}],
    ],
)  # fmt: skip
def test_what_covers_everything_together_is_taken(elements: list[dict[str, Any]]) -> None:
    assert not refused(*(energy("0.39", **one) for one in elements))


def test_a_tariff_without_any_price_of_energy_has_no_hole() -> None:
    time = {"price_components": [{"type": "TIME", "price": "2"}], "restrictions": {"max_kwh": "5"}}
    assert not refused(time)


def test_more_restrictions_than_can_be_checked_are_refused() -> None:
    def reach(index: int, step: int) -> tuple[int, int]:
        return (low := index * step % 97 + 1), low + 50

    def spread(index: int) -> Restrictions:
        (wh, to_wh), (a, to_a), (w, to_w) = (reach(index, step) for step in (31, 43, 59))
        found = Restrictions(min_wh=Decimal(wh), max_wh=Decimal(to_wh), start_minute=600)
        found = replace(found, min_current_a=Decimal(a), max_current_a=Decimal(to_a))
        return replace(found, min_power_w=Decimal(w), max_power_w=Decimal(to_w))

    halves = [Restrictions(end_minute=720), Restrictions(start_minute=720)]
    many = [*map(spread, range(90)), *halves]
    assert "more restrictions than can be checked" in (hole(many, SINCE) or "")
    assert hole([*many[:10], *halves], SINCE) is None


@st.composite
def restricted(draw: st.DrawFn) -> dict[str, Any]:
    """At a few edges, so that holes are small and many tariffs have none."""
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        low, high = sorted(draw(st.sets(st.integers(0, 3), min_size=2, max_size=2)))
        found |= {"min_kwh": str(low)} if high == 3 else {"min_kwh": str(low), "max_kwh": str(high)}
    if draw(st.booleans()):
        low, high = sorted(draw(st.sets(st.integers(1, 9), min_size=2, max_size=2)))
        found |= {"start_date": f"2026-01-0{low}"} if low > 1 else {}
        found |= {"end_date": f"2026-01-0{high}"} if high < 9 else {}
    if draw(st.booleans()):
        found |= draw(st.sampled_from([MORNING, EVENING, NIGHT]))
    if draw(st.booleans()):
        found["day_of_week"] = draw(
            st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=6, unique=True)
        )
    return found


@given(st.lists(restricted(), min_size=1, max_size=6))
def test_a_hole_is_said_where_some_moment_has_no_price_and_nowhere_else(
    elements: list[dict[str, Any]],
) -> None:
    definition = Definition.model_validate(
        {"elements": [energy("0.39", **one) for one in elements]}
    )
    rows = [compile_restrictions(one.restrictions) for one in definition.elements]

    def counts(one: Restrictions, day: date, minute: int, wh: int) -> bool:
        return (
            within(minute, one.start_minute, one.end_minute)
            and (one.weekdays is None or day.weekday() in one.weekdays)
            and (one.start_date is None or day >= one.start_date)
            and (one.end_date is None or day < one.end_date)
            and (one.min_wh is None or wh >= one.min_wh)
            and (one.max_wh is None or wh < one.max_wh)
        )

    everywhere = all(
        any(counts(one, SINCE + timedelta(days=day), minute, wh) for one in rows)
        for day in range(20)
        for minute in (0, 6 * 60, 12 * 60, 22 * 60)
        for wh in (0, 1000, 2000, 3000)
    )
    assert (hole(rows, SINCE) is None) == everywhere


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"min_price": {"excl_vat": "10", "incl_vat": "5"}}, "must not be above"),
        ({"max_price": {"excl_vat": "5", "incl_vat": "3"}}, "must not be above"),
        ({"min_price": {"incl_vat": "20"}, "max_price": {"excl_vat": "10"}}, "incl_vat is above"),
        ({"min_price": {"incl_vat": "11.91"}, "max_price": {"excl_vat": "10"}}, "is above"),
        ({"min_price": {"excl_vat": "10"}, "max_price": {"incl_vat": "11.89"}}, "is with its VAT"),
        (
            {"idle_fee": FEE | {"quiet_hours": {"start_time": "07:00", "end_time": "07:00"}}},
            "the whole day",
        ),
        ({"elements": [energy("1", end_date="0001-01-01")]}, "1970-01-01"),
        ({"elements": [energy("1", start_date="9999-12-31")]}, "2200-01-01"),
    ],
)
def test_what_cannot_be_reckoned_with_is_refused(more: dict[str, Any], why: str) -> None:
    assert why in refused(OTHERWISE, **more)


def test_limits_of_net_and_gross_that_meet_are_taken() -> None:
    for least, most in (
        ({"incl_vat": "11.90"}, {"excl_vat": "10"}),
        ({"excl_vat": "10"}, {"incl_vat": "11.90"}),
    ):
        assert not refused(OTHERWISE, min_price=least, max_price=most)


clocks = st.none() | st.integers(0, 1439)


@given(clocks, clocks, st.integers(0, 1439), st.integers(0, 6))
def test_the_minutes_of_a_week_are_those_in_which_prices_count(
    start: int | None, end: int | None, minute: int, weekday: int
) -> None:
    of = week(Restrictions(start_minute=start, end_minute=end, weekdays=frozenset({2, 3})))
    counts = weekday in {2, 3} and within(minute, start, end)
    assert bool(of >> weekday * 1440 + minute & 1) == counts
