"""Pure: points on the earth, as a sphere.

Distances are great circles in metres; against the ellipsoid they are off by up to 0.56 %. Points
are compared as unit vectors, for which neither the poles nor the date line are anything special.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BELOW_1: Final = 1 - 2**-53
EARTH_M: Final = 6_371_008.8  # mean radius, IUGG
MERCATOR_EDGE: Final = 85.051128779806604  # degrees; Mercator's world is a square up to there
FARTHEST_M: Final = math.pi * EARTH_M  # the other side of the earth


class Point(NamedTuple):
    """Degrees, WGS 84."""

    latitude: float
    longitude: float

    def vector(self) -> tuple[float, float, float]:
        """Of the length 1."""
        phi, lam = math.radians(self.latitude), math.radians(self.longitude)
        return math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)


class Box(NamedTuple):
    """Degrees. West beyond east: it lies across the date line (RFC 7946, 5.2)."""

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def of(cls, west: float, south: float, east: float, north: float) -> Self:
        """The date line is -180 for what begins there, and 180 for what ends there."""
        return cls(-180.0 if west == 180 else west, south, 180.0 if east == -180 else east, north)

    @property
    def width(self) -> float:
        return self.east - self.west + (360 if self.west > self.east else 0)

    def centre(self) -> Point:
        longitude = self.west + self.width / 2
        return Point((self.south + self.north) / 2, longitude - 360 * (longitude > 180))

    def holds(self, latitudes: Floats, longitudes: Floats) -> NDArray[np.bool_]:
        """Edges are inside. A point on the date line is on both of its sides."""
        from_west, to_east = longitudes >= self.west, longitudes <= self.east
        inside = from_west | to_east if self.west > self.east else from_west & to_east
        if self.east == 180:
            inside |= longitudes == -180
        if self.west == -180:
            inside |= longitudes == 180
        return inside & (latitudes >= self.south) & (latitudes <= self.north)


def vectors(latitudes: Floats, longitudes: Floats) -> Floats:
    """Unit vectors, (3, n), of degrees."""
    phi, lam = np.radians(latitudes), np.radians(longitudes)
    found: Floats = np.stack((np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)))
    return found


def squared_chords(many: Floats, one: Sequence[float]) -> Floats:
    """Through the earth in radii, squared: grows as the distance does, and is exact nearby."""
    found: Floats = many[0] - one[0]
    found *= found
    for axis in (1, 2):
        along = many[axis] - one[axis]
        along *= along
        found += along
    return found


def squared_chord(distance_m: float) -> float:
    return float((2 * math.sin(min(distance_m, FARTHEST_M) / (2 * EARTH_M))) ** 2)


def metres(squared: Any) -> Any:
    """The distance of a squared chord, or of an array of them."""
    return 2 * EARTH_M * np.arcsin(np.minimum(np.sqrt(squared) / 2, 1.0))


def distance_m(one: Point, other: Point) -> float:
    return float(metres(math.dist(one.vector(), other.vector()) ** 2))


def mercator(point: Point) -> tuple[float, float]:
    """On the usual square map: eastwards from the date line and southwards, both below 1.

    The date line is on its left. What is beyond the northern and southern edge is on the edge.
    """
    phi = math.radians(max(-MERCATOR_EDGE, min(point.latitude, MERCATOR_EDGE)))
    down = (1 - math.asinh(math.tan(phi)) / math.pi) / 2
    return (point.longitude + 180) / 360 % 1, max(0.0, min(down, BELOW_1))
