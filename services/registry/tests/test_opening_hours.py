"""When a place is open: by hand, and against a slow oracle that writes every open minute down."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from registry.places.opening_hours import ExceptionalPeriod, Hours, RegularHours, is_open

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def hours(*regular: tuple[int, str, str], **more: Any) -> Hours:
    periods = [
        {"weekday": day, "period_begin": begin, "period_end": end} for day, begin, end in regular
    ]
    return Hours.model_validate({"twentyfourseven": not regular, "regular_hours": periods} | more)


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


FRIDAY_NIGHT = hours((5, "18:00", "24:00"), (6, "00:00", "02:00"))


@pytest.mark.parametrize(
    ("text", "open_"),
    [
        ("2026-11-27 17:59:59", False),
        ("2026-11-27 18:00", True),
        ("2026-11-27 23:59:59", True),
        ("2026-11-28 00:00", True),
        ("2026-11-28 01:59:59", True),
        ("2026-11-28 02:00", False),
        ("2026-11-28 18:00", False),
    ],
)
def test_a_night_is_two_periods_and_midnight_is_no_gap(text: str, open_: bool) -> None:
    assert is_open(FRIDAY_NIGHT, berlin(text), BERLIN) == open_


def test_a_repeated_hour_is_open_both_times_and_a_skipped_one_never() -> None:
    sundays = hours((7, "02:00", "03:00"))
    autumn = [berlin("2026-10-25 02:30", fold) for fold in (0, 1)]
    assert autumn[0].astimezone(UTC) != autumn[1].astimezone(UTC)
    assert [is_open(sundays, at, BERLIN) for at in autumn] == [True, True]
    spring = datetime(2026, 3, 29, tzinfo=UTC)
    assert not any(is_open(sundays, spring + timedelta(minutes=m), BERLIN) for m in range(180))


def test_a_moment_is_judged_by_the_clock_of_the_place() -> None:
    mondays = hours((1, "08:00", "20:00"))
    at = datetime(2026, 11, 30, 7, 30, tzinfo=UTC)
    assert is_open(mondays, at, BERLIN)
    assert not is_open(mondays, at, NEW_YORK)


def test_closings_count_before_openings_and_those_before_the_week() -> None:
    day = {"period_begin": "2026-12-24T00:00:00Z", "period_end": "2026-12-26T00:00:00Z"}
    noon = {"period_begin": "2026-12-24T11:00:00Z", "period_end": "2026-12-24T12:00:00Z"}
    at = datetime(2026, 12, 24, 11, 30, tzinfo=UTC)
    always = hours(exceptional_closings=[day])
    assert not is_open(always, at, BERLIN)
    assert is_open(always, datetime(2026, 12, 26, tzinfo=UTC), BERLIN)
    mondays = hours((1, "08:00", "20:00"), exceptional_openings=[noon])
    assert is_open(mondays, at, BERLIN)
    both = hours((4, "00:00", "24:00"), exceptional_openings=[noon], exceptional_closings=[day])
    assert not is_open(both, at, BERLIN)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ((5, "22:00", "02:00"), "over midnight"),
        ((5, "22:00", "22:00"), "after it begins"),
        ((5, "24:00", "24:00"), "period_begin"),
        ((5, "8:00", "9:00"), "period_begin"),
        ((8, "08:00", "09:00"), "weekday"),
    ],
)
def test_what_is_no_period_is_refused(wrong: tuple[int, str, str], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        hours(wrong)


def test_either_always_or_by_the_week() -> None:
    for wrong in ({"twentyfourseven": False}, {"twentyfourseven": True}):
        regular = [{"weekday": 1, "period_begin": "08:00", "period_end": "09:00"}]
        body = wrong | {"regular_hours": regular if wrong["twentyfourseven"] else []}
        with pytest.raises(ValidationError, match="one of both"):
            Hours.model_validate(body)


ZONES = st.sampled_from([BERLIN, NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")])
# About the changes of the clock, in both hemispheres.
FIRST = datetime(2026, 3, 28, tzinfo=UTC)
MINUTES = 60 * 24 * 10


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def regular(draw: st.DrawFn) -> RegularHours:
    begin = draw(st.integers(0, 1439))
    end = draw(st.integers(begin + 1, 1440))
    day = draw(st.integers(1, 7))
    return RegularHours(weekday=day, period_begin=clock(begin), period_end=clock(end))


@st.composite
def exception(draw: st.DrawFn) -> ExceptionalPeriod:
    begin = draw(st.integers(0, MINUTES - 2))
    end = draw(st.integers(begin + 1, MINUTES))
    start = FIRST + timedelta(minutes=begin)
    return ExceptionalPeriod(period_begin=start, period_end=FIRST + timedelta(minutes=end))


def open_minutes(place: Hours, zone: ZoneInfo) -> set[int]:
    """The oracle: minutes after FIRST, each written down for itself from the offset of UTC."""
    found = set()
    week = set()
    for one in place.regular_hours:
        hour, minute = map(int, one.period_begin.split(":"))
        end_hour, end_minute = map(int, one.period_end.split(":"))
        for at in range(hour * 60 + minute, end_hour * 60 + end_minute):
            week.add(((one.weekday - 1), at))
    for number in range(MINUTES):
        moment = FIRST + timedelta(minutes=number)
        offset = moment.astimezone(zone).utcoffset()
        assert offset is not None
        local = moment.replace(tzinfo=None) + offset
        if place.twentyfourseven or (local.weekday(), local.hour * 60 + local.minute) in week:
            found.add(number)
    for period in place.exceptional_openings:
        found |= set(numbers(period))
    for period in place.exceptional_closings:
        found -= set(numbers(period))
    return found


def numbers(period: ExceptionalPeriod) -> range:
    begin, end = (
        int((at - FIRST).total_seconds()) // 60 for at in (period.period_begin, period.period_end)
    )
    return range(begin, end)


@given(
    st.lists(regular(), max_size=4),
    st.lists(exception(), max_size=2),
    st.lists(exception(), max_size=2),
    ZONES,
    st.lists(st.integers(0, MINUTES - 1), min_size=1, max_size=30),
)
def test_it_is_open_in_exactly_the_minutes_that_were_written_down(
    week: list[RegularHours],
    openings: list[ExceptionalPeriod],
    closings: list[ExceptionalPeriod],
    zone: ZoneInfo,
    asked: list[int],
) -> None:
    place = Hours(
        twentyfourseven=not week, regular_hours=week,
        exceptional_openings=openings, exceptional_closings=closings,
    )  # fmt: skip
    written = open_minutes(place, zone)
    edges = [at for p in (*openings, *closings) for at in (numbers(p).start, numbers(p).stop)]
    for number in {*asked, *(min(at, MINUTES - 1) for at in edges)}:
        for second in (0, 59):
            at = FIRST + timedelta(minutes=number, seconds=second)
            assert is_open(place, at, zone) == (number in written), at
