"""Each rule of a price on its own, reckoned by hand: a session that crosses the rule's edge."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from billing.rating import Priced, price, rate
from billing.rating.course import ChargingState, Course, PieceKind, Told
from billing.rating.model import (
    NO_RESTRICTIONS,
    Component,
    Dimension,
    Element,
    IdleFee,
    Modifier,
    Quota,
    Restrictions,
    Tariff,
    Window,
)

BERLIN = ZoneInfo("Europe/Berlin")
VAT = Decimal(19)


def at(local: str) -> datetime:
    """By the clock in Berlin; of a repeated hour the first."""
    return datetime.fromisoformat(local).replace(tzinfo=BERLIN).astimezone(UTC)


def element(kind: Dimension, amount: str, step_size: int = 1, **restrictions: Any) -> Element:
    component = Component(kind, Decimal(amount), VAT, step_size)
    some = Restrictions(**restrictions) if restrictions else NO_RESTRICTIONS
    return Element((component,), some)


def tariff(*elements: Element, idle_fee: IdleFee | None = None) -> Tariff:
    return Tariff("house", "EUR", True, elements, idle_fee=idle_fee)


def session(start: str, end: str, kwh: str = "1", **fields: Any) -> Told:
    wh = int(Decimal(kwh) * 1000)
    return Told(at(start), at(end), BERLIN, wh, 0, **fields)


def hourly(told: Told, amount: str, otherwise: str = "0", **restrictions: Any) -> str:
    """What a session costs whose hours have one price where the restrictions hold, else another."""
    two = element("TIME", amount, **restrictions), element("TIME", otherwise)
    return cost(price(told, tariff(*two)))


def modifier(number: int, scope: str, kind: str, amount: str = "0", **fields: Any) -> Modifier:
    return Modifier(UUID(int=number), kind, scope, kind, Decimal(amount), **fields)  # type: ignore[arg-type]


def cost(priced: Priced) -> str:
    return str(priced.total.gross)


TWO_HOURS = session("2026-03-03T10:00", "2026-03-03T12:00", "10")


@pytest.mark.parametrize(
    ("least_s", "below_s", "expected"),
    [
        (5400, None, "7.50"),  # 1.5 h x 3 + 0.5 h x 6
        (None, 1800, "7.50"),
        (1800, 5400, "9.00"),  # 1 h of each
        (7200, None, "6.00"),
        (None, 7200, "12.00"),
    ],
)
def test_a_duration_counts_from_its_least_second_to_the_one_before_its_greatest(
    least_s: int | None, below_s: int | None, expected: str
) -> None:
    found = hourly(TWO_HOURS, "6.00", "3.00", min_duration_s=least_s, max_duration_s=below_s)
    assert found == expected


def test_the_seconds_of_a_duration_are_counted_one_by_one() -> None:
    for least_s, below_s in ((3600, 3601), (3599, 3601), (1, 7199)):
        one = element("TIME", "3600", min_duration_s=least_s, max_duration_s=below_s)
        assert price(TWO_HOURS, tariff(one)).total.gross == below_s - least_s


@pytest.mark.parametrize(
    ("restrictions", "expected"),
    [
        ({"start_date": date(2026, 7, 1)}, "25.00"),
        ({"end_date": date(2026, 7, 1)}, "1.00"),
        ({"start_date": date(2026, 7, 1), "end_date": date(2026, 7, 2)}, "24.00"),
        ({"end_date": date(2026, 6, 30)}, "0.00"),
        ({"start_date": date(2026, 6, 30), "end_date": date(2026, 7, 2)}, "25.00"),
    ],
)
def test_dates_begin_at_local_midnight_and_the_last_is_not_in_it(
    restrictions: dict[str, Any], expected: str
) -> None:
    """From an hour before the first of July to an hour after it."""
    told = session("2026-06-30T23:00", "2026-07-02T01:00")
    assert hourly(told, "1.00", **restrictions) == expected


@pytest.mark.parametrize(("day", "hours"), [("2026-10-25", "25.00"), ("2026-03-29", "23.00")])
def test_a_day_on_which_the_clock_is_put_is_as_long_as_it_is(day: str, hours: str) -> None:
    this = date.fromisoformat(day)
    following = this + timedelta(days=1)
    told = session(f"{this - timedelta(days=1)}T20:00", f"{following}T20:00")
    assert hourly(told, "1.00", start_date=this, end_date=following) == hours
    assert hourly(told, "1.00", weekdays=frozenset({6})) == hours


@pytest.mark.parametrize(
    ("weekdays", "expected"),
    [({0}, "9.00"), ({6}, "3.00"), ({0, 6}, "12.00"), ({5}, "0.00"), ({1, 2}, "0.00")],
)
def test_sunday_becomes_monday_at_local_midnight(weekdays: set[int], expected: str) -> None:
    """Half an hour of Sunday, an hour and a half of Monday; in winter and in summer."""
    for sunday, monday in (("2026-03-01", "2026-03-02"), ("2026-07-05", "2026-07-06")):
        told = session(f"{sunday}T23:30", f"{monday}T01:30")
        assert hourly(told, "6.00", weekdays=frozenset(weekdays)) == expected


@pytest.mark.parametrize(
    ("weekdays", "expected"), [({0}, "2.50"), ({6}, "3.50"), ({0, 6}, "2.00"), ({2}, "4.00")]
)
def test_the_days_of_a_discount_end_at_local_midnight(weekdays: set[int], expected: str) -> None:
    """Half off: of 2 kWh on Sunday, of 6 kWh on Monday."""
    told = session("2026-07-05T23:30", "2026-07-06T01:30", "8")
    half = modifier(1, "user", "percent", "50", window=Window(weekdays=frozenset(weekdays)))
    assert cost(price(told, tariff(element("ENERGY", "0.50")), [half])) == expected


def test_a_discount_counts_from_its_first_moment_until_before_its_last() -> None:
    told = session("2026-07-05T10:00", "2026-07-05T14:00", "8")
    of = tariff(element("ENERGY", "0.50"))
    for window, expected in (
        (Window(from_at=at("2026-07-05T11:00")), "2.50"),
        (Window(until_at=at("2026-07-05T11:00")), "3.50"),
        (Window(at("2026-07-05T11:00"), at("2026-07-05T13:00")), "3.00"),
        (Window(from_at=at("2026-07-05T14:00")), "4.00"),
        (Window(until_at=at("2026-07-05T10:00")), "4.00"),
    ):
        assert cost(price(told, of, [modifier(1, "user", "percent", "50", window=window)])) == (
            expected
        )


AUTUMN, SPRING = "2026-10-25", "2026-03-29"


@pytest.mark.parametrize(
    ("day", "start", "end", "expected"),
    [
        (AUTUMN, "02:15", "02:45", "6.00"),  # half an hour, twice
        (AUTUMN, "01:00", "02:30", "12.00"),  # 1.5 h, and from 2 on again half an hour
        (AUTUMN, "02:30", "03:30", "9.00"),  # half an hour, then 1 h
        (AUTUMN, "02:30", "02:15", "33.00"),  # 6 h without twice a quarter
        (SPRING, "02:15", "02:45", "0.00"),  # there is none
        (SPRING, "02:15", "04:00", "6.00"),  # from 3 on, which 2 becomes
        (SPRING, "01:00", "02:30", "6.00"),
        (SPRING, "02:30", "02:15", "24.00"),
    ],
)
def test_a_price_of_the_night_counts_in_each_fold_of_the_repeated_hour(
    day: str, start: str, end: str, expected: str
) -> None:
    told = session(f"{day}T00:00", f"{day}T05:00")
    minutes = [int(one[:2]) * 60 + int(one[3:]) for one in (start, end)]
    assert hourly(told, "6.00", start_minute=minutes[0], end_minute=minutes[1]) == expected


def test_a_discount_of_the_night_counts_in_each_fold_of_the_repeated_hour() -> None:
    told = session(f"{AUTUMN}T00:00", f"{AUTUMN}T05:00", "12")  # 2 kWh an hour
    half = modifier(1, "event", "percent", "50", window=Window(start_minute=135, end_minute=165))
    assert cost(price(told, tariff(element("ENERGY", "0.50")), [half])) == "5.50"


TEN_KWH = tariff(element("ENERGY", "0.49"))


@pytest.mark.parametrize(
    ("modifiers", "expected"),
    [
        # 4.90 x 0.9 - 1.00; not (4.90 - 1.00) x 0.9 = 3.51
        ([("event", "absolute", "0.10", None), ("user", "percent", "10", None)], "3.41"),
        ([("station", "absolute", "0.10", None), ("user", "percent", "10", None)], "3.51"),
        # 4.41 - 2.00; not 2.90 x 0.9 = 2.61
        ([("station", "free", "0", "2"), ("user", "percent", "10", None)], "2.41"),
        # An event of an own price: what the others took off does not matter.
        ([("event", "price", "0.20", None), ("user", "percent", "10", None)], "2.00"),
        ([("event", "percent", "50", None), ("user", "absolute", "0.09", None)], "2.00"),
        # (4.90 - 1.00) x 0.9 - 1.00 of the event; each stage after the one before
        (
            [
                ("event", "absolute", "0.10", None),
                ("user_group", "percent", "10", None),
                ("station_group", "absolute", "0.10", None),
            ],
            "2.51",
        ),
        # 0.49 - 0.40, then no more than is left
        ([("station", "absolute", "0.40", None), ("event", "absolute", "0.10", None)], "0.00"),
    ],
)
def test_events_and_free_quotas_work_after_percentages_and_those_after_amounts(
    modifiers: list[tuple[str, str, str, str | None]], expected: str
) -> None:
    off = [
        modifier(i, scope, kind, by, quota=None if left is None else Quota("amount", Decimal(left)))
        for i, (scope, kind, by, left) in enumerate(modifiers)
    ]
    for order in (off, off[::-1]):
        assert cost(price(TWO_HOURS, TEN_KWH, order)) == expected


def test_the_lines_of_one_stage_stand_from_the_station_to_the_user() -> None:
    scopes = ("user", "station", "user_group", "station_group")
    off = [modifier(i, scope, "absolute", "0.01") for i, scope in enumerate(scopes)]
    found = [one.modifier_id for one in price(TWO_HOURS, TEN_KWH, off).lines[1:]]
    assert found == [off[1].id, off[3].id, off[2].id, off[0].id]


STATES: list[tuple[ChargingState, bool]] = [
    ("suspended_ev", True),
    ("idle", True),
    ("charging", False),
    ("suspended_evse", False),
    ("connected", False),
]


def from_11(state: ChargingState) -> Told:
    states = [(at("2026-03-03T11:00"), state)]
    return session("2026-03-03T10:00", "2026-03-03T14:00", "20", states=states)


@pytest.mark.parametrize(("state", "parked"), STATES)
def test_a_car_is_parked_while_it_asks_for_no_power(state: ChargingState, parked: bool) -> None:
    of = tariff(element("TIME", "3.00"), element("PARKING_TIME", "6.00"))
    # 1 h x 3 and 3 h x 6, or 4 h x 3
    assert cost(price(from_11(state), of)) == ("21.00" if parked else "12.00")


@pytest.mark.parametrize(("state", "parked"), STATES)
@pytest.mark.parametrize(
    ("after", "counts", "minutes_if_parked", "minutes_if_not"),
    [
        ("charging_end", "parking", 120, 0),
        ("charging_end", "connected", 120, 0),
        ("session_start", "parking", 180, 0),
        ("session_start", "connected", 180, 180),
    ],
)
def test_blocking_the_place_costs_from_the_end_of_grace_on(
    state: ChargingState,
    parked: bool,
    after: str,
    counts: str,
    minutes_if_parked: int,
    minutes_if_not: int,
) -> None:
    fee = IdleFee(Decimal("0.10"), VAT, 60, after, counts)  # type: ignore[arg-type]
    priced = price(from_11(state), tariff(element("ENERGY", "0.49"), idle_fee=fee))
    minutes = minutes_if_parked if parked else minutes_if_not
    assert [one.quantity for one in priced.lines if one.kind == "idle"] == [minutes][: minutes > 0]
    assert priced.total.gross == Decimal("9.80") + Decimal("0.10") * minutes


def test_a_car_that_charges_within_the_grace_blocks_nothing_while_it_charges() -> None:
    fee = IdleFee(Decimal("0.10"), VAT, 60, "session_start", "parking")
    states = [(at(f"2026-03-03T{when}"), state) for when, state in (
        ("10:30", "suspended_ev"), ("11:30", "charging"), ("12:30", "idle"), ("13:00", "connected"),
    )]  # fmt: skip
    told = session("2026-03-03T10:00", "2026-03-03T14:00", "20", states=states)
    priced = price(told, tariff(element("ENERGY", "0.49"), idle_fee=fee))
    # 11:00 to 11:30 and 12:30 to 13:00
    assert [one.quantity for one in priced.lines if one.kind == "idle"] == [60]


def test_a_line_that_lies_between_two_digits_is_rounded_away_from_zero() -> None:
    told = session("2026-03-03T10:00", "2026-03-03T11:00", "0.1")
    # 0.04905, and half of 0.0981 off; to the even digit it would be 0.0490.
    whole = price(told, tariff(element("ENERGY", "0.4905")))
    assert [str(one.amount) for one in whole.lines] == ["0.0491"]
    half = price(told, tariff(element("ENERGY", "0.981")), [modifier(1, "user", "percent", "50")])
    assert [str(one.amount) for one in half.lines] == ["0.0981", "-0.0491"]
    # A minute of it costs 0.0000005.
    minute = price(told, tariff(element("TIME", "0.00003")))
    assert [str(one.unit_price) for one in minute.lines if one.kind == "time"] == ["0.000001"]


@pytest.mark.parametrize(
    ("least", "below", "expected"),
    [
        ("16", None, "12.00"),
        (None, "16", "0.00"),
        ("32", None, "6.00"),
        (None, "32", "6.00"),
        ("16", "32", "6.00"),
        ("16.1", "32.1", "6.00"),
    ],
)
def test_current_and_power_count_from_their_least_to_below_their_greatest(
    least: str | None, below: str | None, expected: str
) -> None:
    """An hour at 16, an hour at 32."""
    told = [(at("2026-03-03T10:00"), Decimal(16)), (at("2026-03-03T11:00"), Decimal(32))]
    low, high = (None if one is None else Decimal(one) for one in (least, below))
    amperes = session("2026-03-03T10:00", "2026-03-03T12:00", currents=told)
    assert hourly(amperes, "6.00", min_current_a=low, max_current_a=high) == expected
    watts = session("2026-03-03T10:00", "2026-03-03T12:00", powers=told)
    assert hourly(watts, "6.00", min_power_w=low, max_power_w=high) == expected


def test_power_that_nobody_told_is_as_the_energy_says_and_current_is_within_no_limits() -> None:
    """10 kWh in 2 hours are 5000 W."""
    assert hourly(TWO_HOURS, "6.00", min_power_w=Decimal(5000)) == "12.00"
    assert hourly(TWO_HOURS, "6.00", max_power_w=Decimal(5000)) == "0.00"
    assert hourly(TWO_HOURS, "6.00", min_current_a=Decimal(0)) == "0.00"


def reserved(kinds: Sequence[tuple[int, PieceKind]], end_s: int, expired: bool = False) -> Course:
    return Course(
        at("2026-03-03T10:00"), BERLIN, [0, kinds[1][0], end_s], [Decimal(0)] * 2 + [Decimal(1000)],
        kinds, reservation_expired=expired,
    )  # fmt: skip


RESERVED_20_MIN = reserved([(0, "RESERVATION"), (1200, "CHARGING"), (2400, "PARKING")], 3600)


def test_the_start_costs_once_and_once_more_for_a_reservation() -> None:
    once = element("FLAT", "1.00")
    of_reservation = element("FLAT", "2.00", reservation="RESERVATION")
    changing = element("FLAT", "4.00", min_duration_s=600)
    for elements, expected in (
        ([once], "1.00"),
        ([of_reservation], "2.00"),
        ([once, of_reservation], "3.00"),
        ([of_reservation, once], "3.00"),
        # What was due at the start stays, whatever another would cost later.
        ([changing, once, of_reservation], "3.00"),
        ([changing], "4.00"),
    ):
        assert cost(rate(RESERVED_20_MIN, tariff(*elements))) == expected
    priced = rate(RESERVED_20_MIN, tariff(once, of_reservation))
    found = [(one.kind, one.amount) for one in priced.lines if one.amount]
    assert found == [("start", Decimal(1)), ("reservation", Decimal(2))]


def test_a_reservation_that_did_not_expire_pays_no_price_of_one_that_did() -> None:
    gone = element("FLAT", "5.00", reservation="RESERVATION_EXPIRES")
    kinds: list[tuple[int, PieceKind]] = [(0, "RESERVATION"), (1200, "CHARGING")]
    found = [cost(rate(reserved(kinds, 1200, expired), tariff(gone))) for expired in (False, True)]
    assert found == ["0.00", "5.00"]


def test_the_steps_of_a_reservation_and_of_charging_are_rounded_up_apart() -> None:
    """20 minutes and 40; together they would be a whole hour."""
    told = reserved([(0, "RESERVATION"), (1200, "CHARGING")], 3600)
    quarter = element("TIME", "6.00", 900, reservation="RESERVATION")
    of = tariff(quarter, element("TIME", "3.00", 3600))
    lines = [one for one in rate(told, of).lines if one.amount]
    assert [str(one.kind) for one in lines] == ["time", "reservation"]
    assert [float(one.quantity) for one in lines] == [60, 30]
    assert [float(one.amount) for one in lines] == [3, 3]
    assert cost(rate(told, tariff(quarter, element("TIME", "3.00")))) == "5.00"
    assert cost(rate(told, tariff(element("TIME", "3.00", 3600)))) == "3.00"


def test_a_duration_is_of_the_reservation_or_of_the_charging_after_it() -> None:
    later = element("TIME", "6.00", min_duration_s=1200)
    charged = reserved([(0, "RESERVATION"), (1200, "CHARGING")], 3600)
    assert cost(rate(charged, tariff(later))) == "2.00"  # 20 of 40 minutes
    of_it = element("TIME", "6.00", reservation="RESERVATION", min_duration_s=600)
    assert cost(rate(charged, tariff(of_it))) == "1.00"  # 10 of 20


@pytest.mark.parametrize(
    ("restrictions", "expected"),
    [
        ({"weekdays": frozenset(range(7))}, "4.00"),
        ({"start_date": date(2026, 1, 1)}, "4.00"),
        ({"max_wh": Decimal(2000)}, "4.00"),
        ({"max_duration_s": 600}, "1.00"),
    ],
)
def test_a_restricted_price_counts_from_the_end_of_the_reservation_on(
    restrictions: dict[str, Any], expected: str
) -> None:
    """20 minutes reserved, then 40 of charging."""
    told = reserved([(0, "RESERVATION"), (1200, "CHARGING")], 3600)
    assert cost(rate(told, tariff(element("TIME", "6.00", **restrictions)))) == expected
