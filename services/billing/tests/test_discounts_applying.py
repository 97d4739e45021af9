"""Which discounts and events are meant for whom, where and when, and as which modifiers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.discounts.applying import (
    NOBODY,
    RUNS_ON,
    Offer,
    Situation,
    Size,
    counter_of,
    meant,
    modifier_of,
    scope_of,
    where_names,
    who_names,
    window_of,
)
from billing.rating.model import ENERGY_ONLY, Quota
from common.ids import uuid7
from common.places import names_of

BERLIN = ZoneInfo("Europe/Berlin")
USER, GROUP, OTHER, PLACE, CARS = (uuid7() for _ in range(5))
AT = datetime(2026, 6, 6, 10, 0, tzinfo=UTC)  # a Saturday, 12:00 in Berlin
HERE = Situation(
    who=who_names(USER, [GROUP]),
    where=where_names(names_of("CP-1", PLACE, [CARS])),
    at=AT,
    zone=BERLIN,
    subject=USER,
)


def local(text: str) -> datetime:
    """By the clock on the wall."""
    return datetime.fromisoformat(text)


def offer(**fields: Any) -> Offer:
    plain: dict[str, Any] = {
        "id": uuid7(), "form": "discount", "name": "X", "people": frozenset(),
        "places": frozenset({"everywhere:"}), "kind": "percent", "amount": Decimal(10),
        "components": ENERGY_ONLY,
    }  # fmt: skip
    return Offer(**plain | fields)


@pytest.mark.parametrize(
    ("people", "places", "scope"),
    [
        ((), ("everywhere:",), "user_group"),
        ((f"user:{USER}",), ("everywhere:",), "user"),
        ((f"user_group:{GROUP}",), ("everywhere:",), "user_group"),
        ((f"user_group:{GROUP}", f"user:{USER}"), ("station:CP-1",), "user"),
        ((f"user:{OTHER}", f"user_group:{GROUP}"), ("everywhere:",), "user_group"),
        ((), ("station:CP-1",), "station"),
        ((), ("station:CP-2", f"station_group:{CARS}"), "station_group"),
        ((), ("station:CP-1", f"station_group:{CARS}"), "station"),
        ((), (f"location:{PLACE}", "everywhere:"), "station_group"),
        ((f"user:{OTHER}",), ("everywhere:",), None),
        ((), ("station:CP-2",), None),
        ((f"user:{USER}",), (f"location:{OTHER}",), None),
    ],
)
def test_it_is_meant_where_it_names_one_of_the_people_and_one_of_the_places(
    people: tuple[str, ...], places: tuple[str, ...], scope: str | None
) -> None:
    one = offer(people=frozenset(people), places=frozenset(places))
    assert meant(one, HERE) == (scope is not None)
    if scope is not None:
        assert scope_of(one, HERE) == scope
        assert scope_of(replace(one, form="price_event"), HERE) == "event"


def test_who_is_not_known_gets_what_is_for_everybody_and_no_monthly_quota() -> None:
    nobody = replace(HERE, who=who_names(None), subject=None)
    assert meant(offer(), nobody)
    assert not meant(offer(people=frozenset({f"user:{USER}"})), nobody)
    assert meant(offer(quota=Size("kwh", Decimal(5000), "total")), nobody)
    assert not meant(offer(quota=Size("kwh", Decimal(5000), "user_month")), nobody)


def test_a_session_gets_what_begins_while_it_may_run_and_nothing_that_is_over() -> None:
    noon = AT.astimezone(BERLIN).replace(tzinfo=None)
    minute = timedelta(minutes=1)
    assert meant(offer(valid_from=noon + timedelta(hours=3)), HERE)
    assert meant(offer(valid_from=noon + RUNS_ON - minute), HERE)
    assert not meant(offer(valid_from=noon + RUNS_ON), HERE)
    assert meant(offer(valid_until=noon + minute), HERE)
    assert not meant(offer(valid_until=noon), HERE)
    # What is activated or ended later changes nothing for who began before.
    assert not meant(offer(active_from=AT + minute), HERE)
    assert meant(offer(active_from=AT), HERE)
    assert not meant(offer(active_until=AT), HERE)
    assert meant(offer(active_until=AT + minute), HERE)


def test_an_events_hours_are_moments_by_the_clock_of_the_place() -> None:
    event = offer(
        form="price_event", kind="free", amount=Decimal(0), valid_from=local("2026-06-06T12:00"),
        valid_until=local("2026-06-06T18:00"), weekdays=frozenset({5}), start_minute=720,
        end_minute=1080, active_from=datetime(2026, 6, 1, tzinfo=UTC),
    )  # fmt: skip
    found = modifier_of(event, HERE, None)
    assert found.window.from_at == datetime(2026, 6, 6, 10, tzinfo=UTC)
    assert found.window.until_at == datetime(2026, 6, 6, 16, tzinfo=UTC)
    assert (found.window.start_minute, found.window.end_minute) == (720, 1080)
    assert (found.window.weekdays, found.scope, found.kind) == (frozenset({5}), "event", "free")
    later = replace(event, active_from=datetime(2026, 6, 6, 11, tzinfo=UTC))
    assert window_of(later, BERLIN).from_at == datetime(2026, 6, 6, 11, tzinfo=UTC)
    ended = replace(event, active_until=datetime(2026, 6, 6, 12, tzinfo=UTC))
    assert window_of(ended, BERLIN).until_at == datetime(2026, 6, 6, 12, tzinfo=UTC)


def test_a_repeated_hour_belongs_to_it_twice() -> None:
    night = offer(valid_from=local("2026-10-25T02:00"), valid_until=local("2026-10-25T02:30"))
    window = window_of(night, BERLIN)
    assert (window.from_at, window.until_at) == (
        datetime(2026, 10, 25, 0, 0, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    )


def test_a_quota_reaches_the_price_in_the_unit_that_is_reckoned_with() -> None:
    units: list[Any] = [("kwh", "wh"), ("minutes", "s"), ("amount", "amount")]
    for unit, reckoned in units:
        one = offer(quota=Size(unit, Decimal(7000), "total"))
        assert modifier_of(one, HERE, Decimal(5)).quota == Quota(reckoned, Decimal(5))
    numbered = offer(quota=Size("sessions", Decimal(3), "total"))
    assert modifier_of(numbered, HERE, Decimal(3)).quota is None


@given(
    per=st.sampled_from(["user_month", "total"]),
    at=st.datetimes(local("2026-01-01T00:00"), local("2027-01-01T00:00")).map(
        lambda one: one.replace(tzinfo=UTC)
    ),
    subject=st.uuids(),
)
def test_each_user_and_local_month_has_a_counter_of_its_own(
    per: Any, at: datetime, subject: Any
) -> None:
    key = counter_of(Size("kwh", Decimal(1), per), subject, at, BERLIN)
    there = at.astimezone(BERLIN)
    month = f"{there.year}-{there.month:02}"
    assert key == ((NOBODY, "") if per == "total" else (subject, month))


@given(
    st.frozensets(st.sampled_from(sorted([*HERE.who, f"user:{OTHER}", f"user_group:{OTHER}"]))),
    st.frozensets(st.sampled_from(sorted([*HERE.where, "station:CP-2"])), min_size=1),
    st.integers(-48, 48),
    st.integers(-48, 48),
)
def test_what_is_meant_is_what_somebody_would_find_by_looking(
    people: frozenset[str], places: frozenset[str], begins_h: int, ends_h: int
) -> None:
    noon = AT.astimezone(BERLIN).replace(tzinfo=None)
    one = offer(
        people=people,
        places=places,
        valid_from=noon + timedelta(hours=begins_h),
        valid_until=noon + timedelta(hours=ends_h),
    )
    named = not people or any(name in HERE.who for name in people)
    assert meant(one, HERE) == (named and any(p in HERE.where for p in places) and ends_h > 0)
