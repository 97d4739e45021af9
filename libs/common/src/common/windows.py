"""Pure: how many of something there were lately, for many keys in little memory.

A window that slides is taken together of two that stand: all of this one, and of the one before it
the share that is not yet over. So nobody gets twice as many around the turn of the minute.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

KEYS_MAX: Final = 50_000  # those not seen for longest are forgotten; 500 bytes each


class Limit(NamedTuple):
    most: int  # 0: no limit
    window_s: float


class _Count(NamedTuple):
    number: int  # of the window
    here: int
    before: int

    def at(self, number: int) -> "_Count":
        if number == self.number:
            return self
        return _Count(number, 0, self.here if number == self.number + 1 else 0)


NOTHING: Final = _Count(0, 0, 0)


class Windows:
    """Several limits that hold together, by key."""

    def __init__(self, limits: Sequence[Limit], keys_max: int = KEYS_MAX) -> None:
        self._limits = [one for one in limits if one.most]
        self._keys_max = keys_max
        self._counts: OrderedDict[str, list[_Count]] = OrderedDict()

    def take(self, key: str, at_s: float) -> float:
        """Count one more. Above 0: not counted, for it is too many; so many seconds to wait."""
        if not self._limits:
            return 0.0
        stored = self._counts.pop(key, None) or [NOTHING] * len(self._limits)
        counts = [
            count.at(int(at_s // limit.window_s))
            for limit, count in zip(self._limits, stored, strict=True)
        ]
        wait_s = max(
            _wait_s(limit, count, at_s) for limit, count in zip(self._limits, counts, strict=True)
        )
        if wait_s <= 0:
            counts = [count._replace(here=count.here + 1) for count in counts]
        self._counts[key] = counts  # the last: seen just now
        if len(self._counts) > self._keys_max:
            self._counts.popitem(last=False)
        return wait_s


def _wait_s(limit: Limit, count: _Count, at_s: float) -> float:
    """Until one more is within the limit; 0: now."""
    gone_s = at_s - count.number * limit.window_s
    room = limit.most - 1
    if count.here + count.before * (1 - gone_s / limit.window_s) <= room:
        return 0.0
    if count.here <= room:  # as soon as enough of the window before is over
        return limit.window_s * (1 - (room - count.here) / count.before) - gone_s
    # In the next window, when enough of this one is over.
    return limit.window_s * (2 - room / count.here) - gone_s
