"""Pure: which stations lie along a line, how far along it and how far beside it.

The line is great circles between its points. Where it comes by a station more than once, the
nearest pass counts. The line is halved until a piece has no station around it or few segments: each
half is held only against the stations around the whole.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.public_map.sphere import EARTH_M, Floats, Point, squared_chord, vectors

Slots = NDArray[np.int64]

FEW: Final = 16  # segments that are not halved any more
SAME: Final = 1e-12  # radians, a hundredth of a millimetre: the line stands still


class Beside(NamedTuple):
    slot: int
    position_m: float  # along the line, of the place that is nearest to the station
    away_m: float  # from there to the station


class Line:
    """Of two points or more."""

    def __init__(self, points: Sequence[Point]) -> None:
        degrees = np.array(points, np.float64)
        self._ends = vectors(degrees[:, 0], degrees[:, 1])
        self._long = _angles(self._ends[:, :-1], self._ends[:, 1:])
        self._starts = np.concatenate(([0.0], np.cumsum(self._long)))

    @property
    def length_m(self) -> float:
        return float(self._starts[-1] * EARTH_M)

    def beside(self, many: Floats, corridor_m: float) -> list[Beside]:
        """many: unit vectors, (3, n), of which slots are the places. By position."""
        best: dict[int, tuple[float, float]] = {}  # slot: how far away, and where along; radians
        everywhere = np.arange(many.shape[1])
        for first, last, slots in self._pieces(many, everywhere, 0, len(self._long), corridor_m):
            away, position = self._nearest(many[:, slots], first, last)
            for slot, *found in zip(slots.tolist(), away.tolist(), position.tolist(), strict=True):
                if found[0] * EARTH_M <= corridor_m:
                    best[slot] = min(best.get(slot, (math.inf, 0.0)), (found[0], found[1]))
        sides = [Beside(slot, at * EARTH_M, away * EARTH_M) for slot, (away, at) in best.items()]
        return sorted(sides, key=lambda one: (one.position_m, one.away_m, one.slot))

    def _pieces(
        self, many: Floats, slots: Slots, first: int, last: int, corridor_m: float
    ) -> Iterator[tuple[int, int, Slots]]:
        """Few segments, [first, last), and the stations that may be beside them."""
        slots = slots[self._around(many[:, slots], first, last, corridor_m)]
        if not len(slots):
            return
        if last - first <= FEW:
            yield first, last, slots
            return
        middle = (first + last) // 2
        yield from self._pieces(many, slots, first, middle, corridor_m)
        yield from self._pieces(many, slots, middle, last, corridor_m)

    def _around(
        self, stations: Floats, first: int, last: int, corridor_m: float
    ) -> NDArray[np.bool_]:
        """Whether each is in the ball around a point of the piece that has all of its corridor."""
        middle = self._ends[:, (first + last) // 2]
        ends = self._ends[:, first : last + 1]
        # A point within a segment is at most half of it farther off than one of its ends.
        reach = np.max(_angles(ends, middle[:, None])) + np.max(self._long[first:last]) / 2
        squared = np.sum((stations - middle[:, None]) ** 2, axis=0)
        found: NDArray[np.bool_] = squared <= squared_chord(reach * EARTH_M + corridor_m) + SAME
        return found

    def _nearest(self, stations: Floats, first: int, last: int) -> tuple[Floats, Floats]:
        """Of each station, how far from the piece, and where along the line; radians."""
        begin, end = self._ends[:, first:last], self._ends[:, first + 1 : last + 1]
        long, starts = self._long[first:last], self._starts[first:last]
        normal = np.cross(begin, end, axis=0)
        size = np.sqrt(np.sum(normal**2, axis=0))
        still = size < SAME
        normal = normal / np.where(still, 1.0, size)
        ahead = np.cross(normal, begin, axis=0)  # from the beginning, a quarter of the circle on
        # Rows are stations, columns segments.
        across = np.arcsin(np.clip(stations.T @ normal, -1, 1))
        on = np.arctan2(stations.T @ ahead, stations.T @ begin)
        beside = (on >= 0) & (on <= long) & ~still
        to_begin = _angles(stations[:, :, None], begin[:, None, :])
        to_end = _angles(stations[:, :, None], end[:, None, :])
        away = np.where(beside, np.abs(across), np.minimum(to_begin, to_end))
        where = starts + np.where(beside, on, np.where(to_end < to_begin, long, 0.0))
        best = np.argmin(away, axis=1)
        rows = np.arange(len(best))
        return away[rows, best], where[rows, best]


def _angles(some: Floats, others: Floats) -> Floats:
    """Between unit vectors along axis 0; exact for small ones, unlike the arc cosine."""
    chord = np.sqrt(np.sum((some - others) ** 2, axis=0))
    found: Floats = 2 * np.arcsin(np.minimum(chord / 2, 1.0))
    return found
