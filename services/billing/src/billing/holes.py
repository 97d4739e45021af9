"""Pure: where a tariff's energy has no price though it has elsewhere.

Each element counts in a box: minutes of the week, dates, and from what to what the energy, the
length, the current and the power of a session reach. The edges of all boxes cut the whole into
cells; a cell that no box covers is a hole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache, reduce
from itertools import pairwise
from operator import or_
from typing import Final

from billing.rating.model import Restrictions
from common.money import plain

DAY_MINUTES: Final = 1440
WEEK: Final = (1 << 7 * DAY_MINUTES) - 1
DAYS: Final = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
# Elements that tile the whole need no more cells than there are of them, times a few.
CELLS_MAX: Final = 20_000

Reach = tuple[Decimal, Decimal | None]  # from, and until before; None: without end


@dataclass(frozen=True, slots=True)
class _Axis:
    name: str
    start: int  # of everything
    least: int  # of what is limited
    per: int = 1  # of the unit it is said in
    unit: str = ""


DATES: Final = 0
AXES: Final = (
    _Axis("date", 1, 1),
    _Axis("wh", 0, 0, 1000, " kWh"),
    _Axis("duration_s", 0, 0, 1, " s"),
    _Axis("current_a", -1, 0, 1, " A"),  # below 0: a station that tells none is within no limits
    _Axis("power_w", 0, 0, 1000, " kW"),
)


@dataclass(frozen=True, slots=True)
class Box:
    week: int
    reaches: tuple[Reach, ...]  # of each axis

    def covers(self, axis: int, reach: Reach) -> bool:
        (low, high), (from_, until) = self.reaches[axis], reach
        return low <= from_ and (high is None or (until is not None and until <= high))

    def holds(self, other: "Box", axis: int) -> bool:
        """All of it, from this axis on."""
        rest = range(axis, len(AXES))
        return not other.week & ~self.week and all(
            self.covers(one, other.reaches[one]) for one in rest
        )

    def meets(self, other: "Box") -> bool:
        return bool(self.week & other.week) and all(
            (high is None or from_ < high) and (until is None or low < until)
            for (low, high), (from_, until) in zip(self.reaches, other.reaches, strict=True)
        )


def week(one: Restrictions) -> int:
    """The minutes of the week in which it may hold, a bit each from Monday's first on."""
    start, end = one.start_minute or 0, one.end_minute or DAY_MINUTES
    day = (1 << max(start, end)) - (1 << min(start, end))
    if start >= end:  # over midnight; the same time twice is the whole day
        day = (1 << DAY_MINUTES) - 1 - day
    days = range(7) if one.weekdays is None else one.weekdays
    return sum(day << weekday * DAY_MINUTES for weekday in days)


def weeks(some: Iterable[Restrictions]) -> int:
    return reduce(or_, map(week, some), 0)


def hole(priced: Sequence[Restrictions], since: date) -> str | None:
    """In words, the first from a day on; None if energy has a price wherever it may flow.

    priced: of the elements with a price of energy, reservations left out.
    """
    whole = _whole(since)
    boxes = [box for one in priced if (box := _box(one)).meets(whole)]
    search = _Search(boxes)
    try:
        found = search.hole(boxes, whole, 0)
    except _TooMany:
        return "more restrictions than can be checked for holes; gaps_are_free allows them"
    if found is None:
        return None
    return f"a hole: {_said(_grown(found, whole, boxes), whole)}; gaps_are_free allows it"


@lru_cache(1000)
def none_in(priced: tuple[Restrictions, ...]) -> bool:
    """Whether there is none, whatever the day."""
    return hole(priced, date.min) is None


class _TooMany(Exception):
    """More cells than anybody would mean."""


class _Search:
    def __init__(self, boxes: Sequence[Box]) -> None:
        self._number = {id(box): 1 << index for index, box in enumerate(boxes)}
        self._covered: set[tuple[int, int, int]] = set()
        self._cells = 0

    def hole(self, boxes: Sequence[Box], of: Box, axis: int) -> Box | None:
        """The first of a box, all of whose axes before this one are covered by all boxes."""
        if axis == len(AXES):
            missing = of.week & ~reduce(or_, (box.week for box in boxes), 0)
            return replace(of, week=missing) if missing else None
        if any(box.holds(of, axis) for box in boxes):
            return None
        # Where the same boxes are left, the same is covered.
        known = (axis, of.week, sum(self._number[id(box)] for box in boxes))
        if known in self._covered:
            return None
        first, last = of.reaches[axis]
        edges = {edge for box in boxes for edge in box.reaches[axis] if edge is not None}
        cuts = [first, *sorted(edge for edge in edges if edge > first), last]
        for from_, until in pairwise(cuts):
            self._cells += 1
            if self._cells > CELLS_MAX:
                raise _TooMany
            assert from_ is not None
            cell = _narrowed(of, axis, (from_, until))
            left = [box for box in boxes if box.covers(axis, (from_, until))]
            if (found := self.hole(left, cell, axis + 1)) is not None:
                return found
        self._covered.add(known)
        return None


def _whole(since: date) -> Box:
    starts = [Decimal(axis.start) for axis in AXES]
    starts[DATES] = Decimal(since.toordinal())
    return Box(WEEK, tuple((start, None) for start in starts))


def _box(one: Restrictions) -> Box:
    reaches: list[Reach] = []
    for axis in AXES:
        if axis.name == "date":
            days = (one.start_date, one.end_date)
            low, high = (None if day is None else day.toordinal() for day in days)
        else:
            low, high = getattr(one, f"min_{axis.name}"), getattr(one, f"max_{axis.name}")
        start = axis.start if low is None and high is None else axis.least
        reaches.append(
            (Decimal(start if low is None else low), None if high is None else Decimal(high))
        )
    return Box(week(one), tuple(reaches))


def _narrowed(of: Box, axis: int, reach: Reach) -> Box:
    """To a reach of one axis; a few days have only some of the days of the week."""
    minutes, (from_, until) = of.week, reach
    if axis == DATES and until is not None and until - from_ < 7:
        days = {(day - 1) % 7 for day in range(int(from_), int(until))}
        minutes &= week(Restrictions(weekdays=frozenset(days)))
    return replace(_with(of, axis, reach), week=minutes)


def _grown(found: Box, whole: Box, boxes: Sequence[Box]) -> Box:
    """Without what it does not depend on, so that only what makes the hole is said."""

    def grown(wider: Box) -> Box:
        return found if any(box.meets(wider) for box in boxes) else wider

    found = grown(replace(found, week=whole.week))
    for axis, reach in enumerate(whole.reaches):
        found = grown(_with(found, axis, reach))
    return found


def _with(of: Box, axis: int, reach: Reach) -> Box:
    return replace(of, reaches=(*of.reaches[:axis], reach, *of.reaches[axis + 1 :]))


def _said(found: Box, whole: Box) -> str:
    pieces = [
        _reach(axis, *reach)
        for axis, reach, every in zip(AXES, found.reaches, whole.reaches, strict=True)
        if reach != every
    ]
    if found.week != whole.week:
        pieces.append(_hours(found.week))
    return f"{', '.join(pieces)} energy has no price" if pieces else "energy never has a price"


def _reach(axis: _Axis, from_: Decimal, until: Decimal | None) -> str:
    def edge(value: Decimal) -> str:
        if axis.name == "date":
            return date.fromordinal(int(value)).isoformat()
        return plain((value / axis.per).normalize() + 0) + axis.unit

    if until is not None and until <= axis.least:
        return "where a station tells no current"
    if until is None:
        return f"from {edge(from_)} on"
    if from_ > axis.least:
        return f"from {edge(from_)} until {edge(until)}"
    return f"below {edge(until)}"


def _hours(minutes: int) -> str:
    """The first stretch of the week; it may go on over its end."""
    last = 7 * DAY_MINUTES - 1
    before = minutes << 1 & WEEK | minutes >> last
    start = ((minutes & ~before) & -(minutes & ~before)).bit_length() - 1
    turned = minutes >> start | minutes << last + 1 - start & WEEK
    length = (~turned & -~turned).bit_length() - 1

    def at(minute: int) -> str:
        weekday, of_day = divmod(minute % (last + 1), DAY_MINUTES)
        return f"{DAYS[weekday]} {of_day // 60:02d}:{of_day % 60:02d}"

    return f"from {at(start)} until {at(start + length)}"
