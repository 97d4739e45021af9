"""Pure: the squares that maps draw stations together in.

A square is 64 pixels of the usual Mercator tiles (256 pixels, zoom 0: the world is one). Squares
stand still while a map is moved, and are told whole.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.public_map.index import Bools, Index, Wanted
from registry.public_map.sphere import Box, Floats, Point, mercator

ZOOM_MAX: Final = 22
SQUARES_A_TILE: Final = 4  # along each side: 64 pixels, a finger and its label
SQUARES_MAX: Final = 4096  # a screen of 4096 x 4096 pixels


class TooManySquares(ValueError):
    """The box is too large for its zoom."""


class Squares(NamedTuple):
    """The squares that a box touches, of the world's side x side."""

    side: int
    left: int
    top: int
    columns: int
    rows: int


class Cluster(NamedTuple):
    centre: Point  # the mean of its stations
    stations: int
    available: int
    max_power_w: int
    slot: int  # of the station, if it is one


def squares(box: Box, zoom: int) -> Squares:
    """Raises TooManySquares."""
    side = SQUARES_A_TILE << zoom
    left = math.floor((box.west + 180) / 360 * side)
    columns = min(math.floor((box.west + 180 + box.width) / 360 * side) - left + 1, side)
    top, bottom = (
        min(int(mercator(Point(one, 0))[1] * side), side - 1) for one in (box.north, box.south)
    )
    if columns * (bottom - top + 1) > SQUARES_MAX:
        raise TooManySquares
    return Squares(side, left, top, columns, bottom - top + 1)


def clusters(index: Index, where: Squares, wanted: Wanted) -> list[Cluster]:
    # The side is a power of two, so that these comparisons are those of the squares' numbers.
    left, right = where.left / where.side, (where.left + where.columns) / where.side
    top, bottom = where.top / where.side, (where.top + where.rows) / where.side
    inside = (index.downs >= top) & (index.downs < bottom)
    if right <= 1:
        inside &= (index.rights >= left) & (index.rights < right)
    else:  # across the date line
        inside &= (index.rights >= left) | (index.rights < right - 1)
    slots = np.flatnonzero(inside & index.offering(wanted))
    column = (index.rights[slots] * where.side).astype(np.int32) - where.left
    column %= where.side
    row = (index.downs[slots] * where.side).astype(np.int32) - where.top
    return _gathered(index, slots, row * where.columns + column, where)


def _gathered(
    index: Index, slots: NDArray[np.int64], square: NDArray[np.int32], where: Squares
) -> list[Cluster]:
    size = where.columns * where.rows

    def summed(values: Floats | Bools | NDArray[np.int64]) -> Floats:
        return np.bincount(square, weights=values, minlength=size).astype(np.float64)

    counts = np.bincount(square, minlength=size)
    # The mean of what is on both sides of the date line, 180 and -179.9, is near to it.
    latitudes, rights = summed(index.latitudes[slots]), summed(index.rights[slots])
    available = summed(index.available[slots])
    of_slots = summed(slots)
    power = np.zeros(size, np.int32)
    np.maximum.at(power, square, index.powers_w[slots])
    filled = np.flatnonzero(counts)
    columns = (
        latitudes[filled] / counts[filled], rights[filled] / counts[filled] * 360 - 180,
        counts[filled], available[filled].astype(np.int64), power[filled],
        of_slots[filled].astype(np.int64),
    )  # fmt: skip
    return [
        Cluster(Point(latitude, longitude), *rest)
        for latitude, longitude, *rest in zip(*(one.tolist() for one in columns), strict=True)
    ]
