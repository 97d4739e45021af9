"""Pure: when the local clock changes what counts, daylight saving included.

A restriction of times, days or dates can flip only at the moments found here; between two of them
it holds or does not. Local times that there are twice in the autumn night flip twice, those that
there are not in spring flip where the clock jumps.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

DAY = timedelta(days=1)


class Local(NamedTuple):
    """What a local clock and calendar show."""

    minute: int  # of the day
    weekday: int  # 0 is Monday
    day: date


def local(at: datetime, time_zone: tzinfo) -> Local:
    there = at.astimezone(time_zone)
    return Local(there.hour * 60 + there.minute, there.weekday(), there.date())


def flips(
    minutes: Iterable[int], began_at: datetime, ended_at: datetime, time_zone: tzinfo
) -> set[datetime]:
    """In UTC, between two moments: the local times of day, and where the clock is put.

    minutes: since local midnight, 0 to 1440; 1440 is the next day's 0.
    """
    of_day = frozenset(minutes)
    if not of_day:
        return set()
    first, last = began_at.astimezone(time_zone).date(), ended_at.astimezone(time_zone).date()
    return {at for at in _of_days(first, last, of_day, time_zone) if began_at < at < ended_at}


@lru_cache(maxsize=1024)  # sessions of the same days ask again
def _of_days(
    first: date, last: date, minutes: frozenset[int], time_zone: tzinfo
) -> frozenset[datetime]:
    """Of these days and of one to each side."""
    found: set[datetime] = set()
    day = first - DAY
    while day <= last + DAY:
        found |= _of_day(day, minutes, time_zone)
        day += DAY
    return frozenset(found)


@lru_cache(maxsize=4096)  # sessions of the same days ask again; some 2 MB
def _of_day(day: date, minutes: frozenset[int], time_zone: tzinfo) -> frozenset[datetime]:
    found = _put(day, time_zone)
    for minute in minutes:
        at = datetime.combine(day, time(minute // 60 % 24, minute % 60), time_zone)
        found |= {at.replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
    return frozenset(found)


def _put(day: date, time_zone: tzinfo) -> set[datetime]:
    """The moment of a local day at which the clock is put, if there is one."""
    before = datetime.combine(day, time(), time_zone).astimezone(UTC)
    after = datetime.combine(day + DAY, time(), time_zone).astimezone(UTC)
    offset = before.astimezone(time_zone).utcoffset()
    if after.astimezone(time_zone).utcoffset() == offset:
        return set()
    low, high = 0, int((after - before).total_seconds()) // 60
    while high - low > 1:
        middle = (low + high) // 2
        there = (before + timedelta(minutes=middle)).astimezone(time_zone)
        low, high = (middle, high) if there.utcoffset() == offset else (low, middle)
    return {before + timedelta(minutes=high)}


def within(minute: int, start_minute: int | None, end_minute: int | None) -> bool:
    """Of a time of day; an end before the start wraps over midnight, an end at 0 is midnight."""
    start, end = start_minute or 0, end_minute or 1440
    if start < end:
        return start <= minute < end
    # OCPI: the same time twice would be no time at all; it is taken for the whole day.
    return start == end or minute >= start or minute < end
