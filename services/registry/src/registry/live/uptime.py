"""What share of a month a station was online and its connectors worked.

Pure: of facts in any order, and twice, comes the same. Down is a connector that is offline (OCPI
2.2.1, 8.4.22: UNKNOWN), faulted (OUTOFORDER), or unavailable because somebody switched it off
(INOPERATIVE); whatever else it says, reserved or occupied too, it works. Of several reasons the
first in that order counts: what is offline is not known to be in maintenance.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

Reason = Literal["offline", "faulted", "unavailable"]
REASONS: Final[tuple[Reason, ...]] = ("offline", "faulted", "unavailable")


class Span(NamedTuple):
    begin: datetime
    end: datetime  # not in it

    @property
    def length(self) -> timedelta:
        return max(self.end - self.begin, timedelta())


@dataclass(frozen=True)
class Socket:
    """A connection; a higher generation takes the station over from a lower one."""

    generation: int
    opened_at: datetime | None  # None: only its end was told
    closed_at: datetime | None  # None: not yet, or never told


@dataclass(frozen=True)
class Fact:
    """How a connector stood from then on."""

    at: datetime
    standing: Literal["working", "faulted", "unavailable"]
    error_code: str | None = None
    vendor_error_code: str | None = None


@dataclass(frozen=True)
class Downtime:
    begin: datetime
    end: datetime
    reason: Reason
    error_code: str | None = None
    vendor_error_code: str | None = None

    @property
    def length(self) -> timedelta:
        return self.end - self.begin


def month_of(name: str, time_zone: str) -> Span:
    """name: as 2026-10, of a year that a date can have on both sides."""
    year, month = map(int, name.split("-"))
    zone = ZoneInfo(time_zone)
    following = (year + month // 12, month % 12 + 1)
    # In UTC: what has the same zone is subtracted by the clock on the wall.
    begin, end = (
        datetime(y, m, 1, tzinfo=zone).astimezone(UTC) for y, m in ((year, month), following)
    )
    return Span(begin, end)


def counted(month: Span, in_service_since: datetime | None, now: datetime) -> Span:
    """The part of it that is over and in which the station was in service; may be empty."""
    if in_service_since is None:
        return Span(month.begin, month.begin)
    begin = min(max(month.begin, in_service_since), month.end)
    return Span(begin, max(begin, min(month.end, now)))


def online(sockets: Iterable[Socket], span: Span) -> list[Span]:
    """When the station was connected, in order and apart from each other."""
    found: list[Span] = []
    for begin, end in sorted(_lasting(sockets, span.end)):
        clipped = Span(max(begin, span.begin), min(end, span.end))
        if clipped.end <= clipped.begin:
            continue
        if found and clipped.begin <= found[-1].end:
            found[-1] = Span(found[-1].begin, max(clipped.end, found[-1].end))
        else:
            found.append(clipped)
    return found


def _lasting(sockets: Iterable[Socket], now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """From when until when each was the station's."""
    by_generation: dict[int, list[Socket]] = defaultdict(list)
    for one in sockets:
        by_generation[one.generation].append(one)
    taken_over_at = now
    for _, told in sorted(by_generation.items(), reverse=True):
        opened = [one.opened_at for one in told if one.opened_at]
        closed = [one.closed_at for one in told if one.closed_at]
        if opened:
            yield min(opened), min([*closed, taken_over_at, now])
            taken_over_at = min([*opened, taken_over_at])


def downtimes(
    online: Sequence[Span], facts: Sequence[Iterable[Fact]], span: Span
) -> list[Downtime]:
    """When a connector was down, in order. facts: its own, its EVSE's and its station's.

    What was never said is believed to work.
    """
    told = [sorted(set(one), key=_order) for one in facts]
    moments = {span.begin, span.end}
    moments.update(at for one in online for at in one)
    moments.update(fact.at for one in told for fact in one)
    inside = sorted(at for at in moments if span.begin <= at <= span.end)
    found: list[Downtime] = []
    for begin, end in pairwise(inside):
        down = _down(online, told, begin, end)
        if down is None:
            continue
        if found and found[-1] == replace(down, begin=found[-1].begin, end=begin):
            found[-1] = replace(down, begin=found[-1].begin)
        else:
            found.append(down)
    return found


def _order(fact: Fact) -> tuple[datetime, str, str, str]:
    return fact.at, fact.standing, fact.error_code or "", fact.vendor_error_code or ""


def _down(
    online: Sequence[Span], told: Sequence[Sequence[Fact]], begin: datetime, end: datetime
) -> Downtime | None:
    """Why it was down between two moments in which nothing changed; None: it worked."""
    place = bisect_right(online, begin, key=lambda span: span.begin) - 1
    if place < 0 or online[place].end <= begin:
        return Downtime(begin, end, "offline")
    newest = [
        one[last - 1]
        for one in told
        if (last := bisect_right(one, begin, key=lambda fact: fact.at))
    ]
    for fact in newest:
        if fact.standing == "faulted":
            return Downtime(begin, end, "faulted", fact.error_code, fact.vendor_error_code)
    if any(fact.standing == "unavailable" for fact in newest):
        return Downtime(begin, end, "unavailable")
    return None


def lasted(found: Iterable[Downtime | Span]) -> timedelta:
    return sum((one.length for one in found), timedelta())
