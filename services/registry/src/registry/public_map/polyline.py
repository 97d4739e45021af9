"""Pure: lines as routing engines write them, and as GeoJSON does.

Source: Google's Encoded Polyline Algorithm Format. Its usual precision is 5 places; Valhalla
writes 6, and OSRM on demand.
"""

from collections.abc import Sequence
from typing import Final, Literal

from registry.public_map.sphere import Point

Precision = Literal[5, 6]
CHUNK: Final = 0x20  # five bits a letter, and this one if there are more
FIRST: Final = 63  # "?"
SHIFT_MAX: Final = 40  # a coordinate has 29 bits; nobody's garbage becomes a number of megabytes


def decode(encoded: str, precision: Precision, *, most: int) -> list[Point]:
    """Raises ValueError: it is none, or leaves the earth, or has more than most points."""
    values = _values(encoded, 2 * most)
    if len(values) % 2:
        raise ValueError("the line ends within a point")
    scale = 10**precision
    points: list[Point] = []
    latitude = longitude = 0
    for along, across in zip(values[::2], values[1::2], strict=True):
        latitude, longitude = latitude + along, longitude + across
        if abs(latitude) > 90 * scale or abs(longitude) > 180 * scale:
            raise ValueError(f"point {len(points)} is not on the earth; has it {precision} places?")
        points.append(Point(latitude / scale, longitude / scale))
    return points


def _values(encoded: str, most: int) -> list[int]:
    values = []
    value = shift = 0
    for letter in encoded:
        bits = ord(letter) - FIRST
        if not 0 <= bits < 2 * CHUNK:
            raise ValueError(f"{letter!r} is in no encoded line")
        value |= (bits & (CHUNK - 1)) << shift
        shift += 5
        if bits & CHUNK:
            if shift > SHIFT_MAX:
                raise ValueError("a coordinate of the line has too many letters")
            continue
        values.append(~(value >> 1) if value & 1 else value >> 1)
        if len(values) > most:
            raise ValueError(f"the line has more than {most // 2} points")
        value = shift = 0
    if shift:
        raise ValueError("the line ends within a coordinate")
    return values


def encode(points: Sequence[Point], precision: Precision) -> str:
    scale = 10**precision
    letters = []
    before = (0, 0)
    for point in points:
        here = (round(point.latitude * scale), round(point.longitude * scale))
        for now, was in zip(here, before, strict=True):
            letters.append(_letters(now - was))
        before = here
    return "".join(letters)


def _letters(value: int) -> str:
    left = ~(value << 1) if value < 0 else value << 1
    found = ""
    while left >= CHUNK:
        found += chr((CHUNK | (left & (CHUNK - 1))) + FIRST)
        left >>= 5
    return found + chr(left + FIRST)
