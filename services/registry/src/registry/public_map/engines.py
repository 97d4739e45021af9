"""Pure: how OSRM and Valhalla are asked for a way, and whether what they answer can be true.

Sources: OSRM's HTTP API (route service, v1); Valhalla's turn-by-turn API (/route).
"""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

from registry.public_map.polyline import decode
from registry.public_map.sphere import Point, distance_m

POINTS_MAX: Final = 20_000  # a line across Europe at full detail
# A start is moved to the next road; farther than that it is the way of somebody else.
SNAP_M: Final = 5_000.0
# Between a ferry that is waited for and the fastest car; for what is over in a minute, nothing.
SPEEDS_M_S: Final = (0.5, 70.0)
# The line is what the length is of. A simplified one cuts corners, but not half of the way.
LINE_SHARE: Final = (0.6, 1.1)


class Way(NamedTuple):
    distance_m: float
    duration_s: float
    line: list[Point]


class Question(NamedTuple):
    path: str  # after the engine's address
    body: bytes | None  # JSON to post; None: asked by GET


class NoWay(Exception):
    """The engine works, but knows no road from there to there."""


class NotBelieved(Exception):
    """The answer is none, or cannot be true. Says why, for the log."""


def ask_osrm(start: Point, to: Point) -> Question:
    places = ";".join(f"{one.longitude:.6f},{one.latitude:.6f}" for one in (start, to))
    options = "overview=full&geometries=polyline6&alternatives=false&steps=false"
    return Question(f"/route/v1/driving/{places}?{options}", None)


def ask_valhalla(start: Point, to: Point) -> Question:
    body = {
        "locations": [
            {"lat": round(one.latitude, 6), "lon": round(one.longitude, 6)} for one in (start, to)
        ],
        "costing": "auto",
        "units": "kilometers",
        "directions_type": "none",
    }
    return Question("/route", json.dumps(body).encode())


def read_osrm(status: int, body: bytes) -> Way:
    """Raises NoWay, NotBelieved."""
    answer = _object(body)
    if answer.get("code") in ("NoRoute", "NoSegment"):
        raise NoWay
    if status != 200 or answer.get("code") != "Ok":
        raise NotBelieved(f"OSRM answered {status}")
    route = _first(answer, "routes")
    line = _line(route.get("geometry"))
    return Way(_number(route, "distance"), _number(route, "duration"), line)


NO_PATH: Final = frozenset({154, 171, 442})  # beyond the engine's reach, no road near, no path


def read_valhalla(status: int, body: bytes) -> Way:
    """Raises NoWay, NotBelieved."""
    answer = _object(body)
    if answer.get("error_code") in NO_PATH:
        raise NoWay
    trip = answer.get("trip")
    if status != 200 or not isinstance(trip, dict) or trip.get("status") != 0:
        raise NotBelieved(f"Valhalla answered {status}")
    if trip.get("units") != "kilometers":
        raise NotBelieved("Valhalla's lengths are not in kilometres")
    summary = trip.get("summary")
    if not isinstance(summary, dict):
        raise NotBelieved("there is no summary")
    line = _line(_first(trip, "legs").get("shape"))
    return Way(_number(summary, "length") * 1000, _number(summary, "time"), line)


class Engine(NamedTuple):
    ask: Callable[[Point, Point], Question]
    read: Callable[[int, bytes], Way]


ENGINES: Final[dict[Literal["osrm", "valhalla"], Engine]] = {
    "osrm": Engine(ask_osrm, read_osrm),
    "valhalla": Engine(ask_valhalla, read_valhalla),
}


def checked(way: Way, start: Point, to: Point) -> Way:
    """Raises NotBelieved: it leads elsewhere, or length, time and line are not of one way."""
    if len(way.line) < 2:
        raise NotBelieved("the line has no two points")
    for told, meant in ((way.line[0], start), (way.line[-1], to)):
        if distance_m(told, meant) > SNAP_M:
            raise NotBelieved("the line leads from or to somewhere else")
    drawn_m = sum(distance_m(one, next_) for one, next_ in pairwise(way.line))
    least, most = (share * way.distance_m for share in LINE_SHARE)
    if not least - 50 <= drawn_m <= most + 50:
        raise NotBelieved(f"a way of {way.distance_m:.0f} m has a line of {drawn_m:.0f} m")
    slowest, fastest = SPEEDS_M_S
    if not (way.distance_m - 100) / fastest <= way.duration_s <= way.distance_m / slowest + 3600:
        raise NotBelieved(f"{way.distance_m:.0f} m in {way.duration_s:.0f} s")
    return way


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotBelieved("the answer is not JSON") from error
    if not isinstance(answer, dict):
        raise NotBelieved("the answer is no object")
    return answer


def _first(parent: dict[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name)
    if not isinstance(found, list) or not found or not isinstance(found[0], dict):
        raise NotBelieved(f"there are no {name}")
    one: dict[str, Any] = found[0]
    return one


def _number(parent: dict[str, Any], name: str) -> float:
    found = parent.get(name)
    # A bool is an int in Python, and JSON of Python has NaN and numbers without end.
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise NotBelieved(f"{name} is no number")
    if not 0 <= found < 1e9 or math.isnan(found):
        raise NotBelieved(f"{name} is out of range")
    return float(found)


def _line(encoded: object) -> list[Point]:
    if not isinstance(encoded, str):
        raise NotBelieved("there is no line")
    try:
        return decode(encoded, 6, most=POINTS_MAX)
    except ValueError as error:
        raise NotBelieved(str(error)) from error
