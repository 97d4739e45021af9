"""Pure: which stations lie along a line, how far along it and how far beside it.

The line is great circles between its points. Where it comes by a station more than once, the
nearest pass counts. The line is halved until a piece has no station around it or few segments: each
half is held only against the stations around the whole.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.public_map.sphere import (
    EARTH_M,
    Floats,
    Point,
    squared_chord,
    squared_chords,
    vectors,
)

Slots = NDArray[np.int64]

FEW: Final = 16  # segments that are not halved any more
SAME: Final = 1e-12  # radians, a hundredth of a millimetre: the line stands still
HALF: Final = 0.7  # of a sine: farther across, it is the other side of the earth or out of reach
QUARTER: Final = 1.5  # radians; some less than a quarter of a great circle
ROUGH_M: Final = 1.0  # what products of unit vectors may be off


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
        normals = np.cross(self._ends[:, :-1], self._ends[:, 1:], axis=0)
        size = np.sqrt(np.sum(normals**2, axis=0))
        self._normals = normals / np.where(size < SAME, 1.0, size)
        self._starts = np.concatenate(([0.0], np.cumsum(self._long)))

    @property
    def length_m(self) -> float:
        return float(self._starts[-1] * EARTH_M)

    def beside(self, many: Floats, corridor_m: float) -> list[Beside]:
        """many: unit vectors, (3, n), of which slots are the places. By position."""
        away = np.full(many.shape[1], np.inf)
        position = np.zeros(many.shape[1])
        everywhere = np.arange(many.shape[1])
        for first, last, slots in self._pieces(many, everywhere, 0, len(self._long), corridor_m):
            candidates, segments = self._segments(many[:, slots], first, last, corridor_m)
            there = slots[candidates]
            found, where = self._nearest(many[:, there], first + segments)
            nearer = (found * EARTH_M <= corridor_m) & (found < away[there])
            away[there[nearer]], position[there[nearer]] = found[nearer], where[nearer]
        sides = [
            Beside(slot, float(position[slot]) * EARTH_M, float(away[slot]) * EARTH_M)
            for slot in np.flatnonzero(np.isfinite(away)).tolist()
        ]
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
        """Whether each is in the ball around a point of the piece that has all of its corridor.

        A ball below half of the earth has the whole of each segment whose ends it has.
        """
        middle = self._ends[:, (first + last) // 2]
        reach = float(np.max(_angles(self._ends[:, first : last + 1], middle[:, None])))
        if reach >= QUARTER:
            return np.ones(stations.shape[1], np.bool_)
        squared = squared_chords(stations, tuple(middle))
        found: NDArray[np.bool_] = squared <= squared_chord(reach * EARTH_M + corridor_m) + SAME
        return found

    def _segments(
        self, stations: Floats, first: int, last: int, corridor_m: float
    ) -> tuple[Slots, Slots]:
        """Which of the stations are in the corridor of the piece, and at which segment of it.

        By products of vectors alone, some centimetres off; _nearest then tells how far.
        """
        ends, normal = self._ends[:, first : last + 1], self._normals[:, first:last]
        # Rows are segments, columns stations. Squared chords, to the ends and to the circle.
        to_ends = 2 - 2 * (ends.T @ stations)
        squared = np.minimum(to_ends[:-1], to_ends[1:])
        across = normal.T @ stations
        within = (np.cross(normal, ends[:, :-1], axis=0).T @ stations >= 0) & (
            np.cross(ends[:, 1:], normal, axis=0).T @ stations >= 0
        )
        within &= (np.abs(across) < HALF) & (self._long[first:last] > SAME)[:, None]
        to_circle = 2 - 2 * np.sqrt(np.maximum(1 - across * across, 0))
        squared = np.where(within, to_circle, squared)
        segment = np.argmin(squared, axis=0)
        best = squared[segment, np.arange(len(segment))]
        found = np.flatnonzero(best <= squared_chord(corridor_m + ROUGH_M))
        return found, segment[found]

    def _nearest(self, stations: Floats, segment: Slots) -> tuple[Floats, Floats]:
        """How far each is from its segment, and where along the line; radians."""
        begin, end = self._ends[:, segment], self._ends[:, segment + 1]
        normal, long = self._normals[:, segment], self._long[segment]
        ahead = np.cross(normal, begin, axis=0)  # from the beginning, a quarter of the circle on
        across = np.arcsin(np.clip(np.sum(stations * normal, axis=0), -1, 1))
        on = np.arctan2(np.sum(stations * ahead, axis=0), np.sum(stations * begin, axis=0))
        beside = (on >= 0) & (on <= long) & (long > SAME)
        to_begin, to_end = _angles(stations, begin), _angles(stations, end)
        away = np.where(beside, np.abs(across), np.minimum(to_begin, to_end))
        where = np.where(beside, on, np.where(to_end < to_begin, long, 0.0))
        return away, self._starts[segment] + where


def _angles(some: Floats, others: Floats) -> Floats:
    """Between unit vectors along axis 0; exact for small ones, unlike the arc cosine."""
    chord = np.sqrt(np.sum((some - others) ** 2, axis=0))
    found: Floats = 2 * np.arcsin(np.minimum(chord / 2, 1.0))
    return found
