"""Uptime, against an oracle that looks at each second."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.live.uptime import (
    Fact,
    Socket,
    Span,
    counted,
    downtimes,
    lasted,
    month_of,
    online,
)

T0 = datetime(2026, 10, 1, tzinfo=UTC)
END_S = 40


def at(second: int) -> datetime:
    return T0 + timedelta(seconds=second)


SPAN = Span(at(0), at(END_S))


def seconds(spans: Sequence[Any]) -> set[int]:
    return {n for one in spans for n in range(-9, 99) if one.begin <= at(n) < one.end}


def online_at(sockets: Sequence[Socket], second: int) -> bool:
    """Of the sockets opened by then the highest generation is the station's; is it still open?"""
    opened = [one for one in sockets if one.opened_at and one.opened_at <= at(second)]
    if not opened:
        return False
    generation = max(one.generation for one in opened)
    closed = [one.closed_at for one in sockets if one.generation == generation and one.closed_at]
    return not any(moment <= at(second) for moment in closed)


def down_at(
    sockets: Sequence[Socket], facts: Sequence[Sequence[Fact]], second: int
) -> tuple[str, str | None] | None:
    if not online_at(sockets, second):
        return "offline", None
    newest = []
    for one in facts:
        told = [fact for fact in one if fact.at <= at(second)]
        newest += [max(told, key=lambda fact: fact.at)] if told else []
    for reason in ("faulted", "unavailable"):
        for fact in newest:
            if fact.standing == reason:
                return reason, fact.error_code if reason == "faulted" else None
    return None


moments = st.integers(-5, END_S + 5).map(at)
sockets = st.lists(
    st.builds(Socket, st.integers(1, 4), st.none() | moments, st.none() | moments), max_size=6
)
facts = st.lists(
    st.builds(Fact, moments, st.sampled_from(["working", "faulted", "unavailable"]),
              st.sampled_from([None, "E1"])),
    max_size=6, unique_by=lambda fact: fact.at,
)  # fmt: skip


@given(sockets, st.lists(facts, max_size=3))
def test_uptime_is_what_each_second_says(told: list[Socket], said: list[list[Fact]]) -> None:
    connected = online(told, SPAN)
    assert seconds(connected) == {n for n in range(END_S) if online_at(told, n)}
    down = downtimes(connected, said, SPAN)
    expected = {n: down_at(told, said, n) for n in range(END_S)}
    found = {
        n: next(
            ((one.reason, one.error_code) for one in down if one.begin <= at(n) < one.end), None
        )
        for n in range(END_S)
    }
    assert found == expected
    assert lasted(down) == timedelta(seconds=sum(one is not None for one in expected.values()))
    # In order, apart from each other or for another reason, and never empty.
    assert all(one.begin < one.end for one in down)
    for one, other in pairwise(down):
        assert one.end <= other.begin
        assert (
            one.end < other.begin
            or one.reason != other.reason
            or (
                (one.error_code, one.vendor_error_code)
                != (other.error_code, other.vendor_error_code)
            )
        )


@given(sockets, st.lists(facts, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_facts_in_any_order_and_twice_say_the_same(
    told: list[Socket], said: list[list[Fact]], random: Any
) -> None:
    other = [*told, *told[:2]]
    random.shuffle(other)
    others = []
    for one in said:
        again = [*one, *one[:2]]
        random.shuffle(again)
        others.append(again)
    assert online(other, SPAN) == online(told, SPAN)
    assert downtimes(online(other, SPAN), others, SPAN) == downtimes(online(told, SPAN), said, SPAN)


@pytest.mark.parametrize(
    ("month", "zone", "begin", "hours"),
    [
        ("2026-10", "Europe/Berlin", datetime(2026, 9, 30, 22, tzinfo=UTC), 31 * 24 + 1),
        ("2026-03", "Europe/Berlin", datetime(2026, 2, 28, 23, tzinfo=UTC), 31 * 24 - 1),
        ("2026-12", "UTC", datetime(2026, 12, 1, tzinfo=UTC), 31 * 24),
        ("2028-02", "Asia/Kolkata", datetime(2028, 1, 31, 18, 30, tzinfo=UTC), 29 * 24),
    ],
)
def test_a_month_is_that_of_the_place_with_its_summer_time(
    month: str, zone: str, begin: datetime, hours: int
) -> None:
    found = month_of(month, zone)
    assert (found.begin, found.length) == (begin, timedelta(hours=hours))


@pytest.mark.parametrize(
    ("since_s", "now_s", "begin_s", "end_s"),
    [
        (-100, 100, 0, 40),  # a month that is over, and does not change any more
        (-100, 20, 0, 20),
        (10, 20, 10, 20),  # in service since
        (60, 100, 40, 40),  # only after it
        (30, 20, 30, 30),
        (None, 100, 0, 0),
        (-100, -50, 0, 0),  # a month to come
    ],
)
def test_what_counts_is_over_and_in_service(
    since_s: int | None, now_s: int, begin_s: int, end_s: int
) -> None:
    since = None if since_s is None else at(since_s)
    assert counted(SPAN, since, at(now_s)) == Span(at(begin_s), at(end_s))
