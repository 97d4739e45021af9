"""The way to a station, and the stations along a way."""

import asyncio
import math
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.fields import Body
from common.problems import NotFound, Problem
from common.public_limits import limited
from registry.fields import StationId
from registry.public_map.along import Beside, Line
from registry.public_map.answers import MAX_AGE_S, answer
from registry.public_map.asking import (
    Filters,
    Latitude,
    Longitude,
    Metres,
    both_or_none,
    of_contract,
)
from registry.public_map.keeping import PublicMap
from registry.public_map.links import Links, links
from registry.public_map.polyline import Precision, decode
from registry.public_map.published import PublicStation, Published
from registry.public_map.routing import Routing
from registry.public_map.sphere import Point, distance_m

router = APIRouter(prefix="/v1/routes", tags=["map"], dependencies=[limited("routes")])

WAY_AGE_S = 60  # roads stay; where somebody is, is for their own cache alone
POINTS_MAX = 5_000
LENGTH_MAX_M = 5_000_000  # from one end of Europe to the other
CORRIDOR_MAX_M = 20_000  # beyond that, no way leads there that is any
LIMIT_MAX = 100

Position = Annotated[list[float], Field(min_length=2, max_length=3)]


class LineTooLong(Problem):
    status = 422
    title = "The line is too long"


class LineString(BaseModel):
    """GeoJSON (RFC 7946, 3.1.4): longitude first."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["LineString"] = "LineString"
    coordinates: Annotated[list[Position], Field(min_length=2, max_length=POINTS_MAX)]

    @model_validator(mode="after")
    def _on_the_earth(self) -> Self:
        for place, (longitude, latitude, *_) in enumerate(self.coordinates):
            if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
                raise ValueError(f"point {place} is not on the earth; longitude comes first")
        return self

    def points(self) -> list[Point]:
        return [Point(latitude, longitude) for longitude, latitude, *_ in self.coordinates]


class RouteQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    station_id: StationId
    latitude: Latitude | None = Field(default=None, description="of the start; left out: no way")
    longitude: Longitude | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        both_or_none(self.latitude, self.longitude)
        return self

    def start(self) -> Point | None:
        if self.latitude is None or self.longitude is None:
            return None
        return Point(self.latitude, self.longitude)


class RouteOut(Published):
    station_id: str
    latitude: float = Field(description="of the station")
    longitude: float
    links: Links
    source: Literal["routing engine", "straight line"] | None = Field(
        description="where the rest is from; null: no start was given"
    )
    distance_m: int | None = Field(description="by road, or in a straight line: see source")
    duration_s: int | None = Field(description="null: not known; it is not guessed")
    line: LineString | None = Field(description="by road; null: not known")


@router.get("", summary="Find the way to a station", response_model=RouteOut)
async def find_route(request: Request, query: Annotated[RouteQuery, Query()]) -> Response:
    """Links that open the way in a maps app, always; and the way itself, if there is an engine.

    Without an engine, or if it does not answer, the distance is the straight line's, and no time is
    told.
    """
    public_map: PublicMap = request.app.state.beside.public_map
    slot = public_map.index.find(query.station_id)
    if slot is None:
        raise NotFound("there is no such station on the map")
    to, start = public_map.index.point(slot), query.start()
    body = {
        "station_id": query.station_id,
        "latitude": to.latitude,
        "longitude": to.longitude,
        "links": links(to, start).model_dump(),
        **await _way(request.app.state.beside.routing, start, to),
    }
    return answer(request, body, shared=start is None, max_age_s=WAY_AGE_S)


async def _way(routing: Routing, start: Point | None, to: Point) -> dict[str, object]:
    if start is None:
        return {"source": None, "distance_m": None, "duration_s": None, "line": None}
    way = await routing.way(start, to)
    if way is None:
        straight_m = round(distance_m(start, to))
        unknown = {"duration_s": None, "line": None}
        return {"source": "straight line", "distance_m": straight_m, **unknown}
    return {
        "source": "routing engine",
        "distance_m": round(way.distance_m),
        "duration_s": round(way.duration_s),
        "line": {
            "type": "LineString",
            "coordinates": [[one.longitude, one.latitude] for one in way.line],
        },
    }


class AlongIn(Filters, Body):
    """The way, as one of both forms."""

    line: LineString | None = None
    polyline: str | None = Field(
        default=None, min_length=1, max_length=200_000, description="encoded, as Google does it"
    )
    precision: Precision = Field(
        default=5, description="places of the polyline; OSRM and Valhalla write 6"
    )
    range_m: Metres | None = Field(
        default=None, description="what the car can drive from the beginning; null: any distance"
    )
    corridor_m: Annotated[Metres, Field(le=CORRIDOR_MAX_M)] = Field(
        default=2_000, description="how far beside the way"
    )
    order: Literal["nearest", "detour"] = Field(
        default="nearest",
        description="first what is reached first, or what costs least",
    )
    limit: int = Field(default=20, ge=1, le=LIMIT_MAX)

    @model_validator(mode="after")
    def _one_line(self) -> Self:
        if (self.line is None) == (self.polyline is None):
            raise ValueError("give the way as a line or as a polyline")
        if len(self.points()) < 2:
            raise ValueError("a way has two points or more")
        return self

    def points(self) -> list[Point]:
        """Raises ValueError."""
        if self.line is not None:
            return self.line.points()
        return decode(self.polyline or "", self.precision, most=POINTS_MAX)


class StationAlong(PublicStation):
    position_m: int = Field(description="along the way, of the place that is nearest to it")
    away_m: int = Field(description="from there to it, in a straight line")
    detour_m: int = Field(description="there and back, in straight lines: roads are longer")
    reach_m: int = Field(description="from the beginning to it: position_m + away_m")


class Along(Published):
    length_m: int = Field(description="of the way")
    out_of_range: int = Field(description="stations beside the way that the car does not reach")
    items: list[StationAlong]


@router.post("/along", summary="Find stations along a way", response_model=Along)
async def find_along(body: AlongIn, request: Request) -> Response:
    """Those in a corridor around it that the car can reach, what is reached first first."""
    wanted = await of_contract(request, body)
    public_map: PublicMap = request.app.state.beside.public_map
    line = Line(body.points())
    if line.length_m > LENGTH_MAX_M:
        raise LineTooLong(
            f"it has {line.length_m / 1000:.0f} km; {LENGTH_MAX_M / 1000:.0f} are most"
        )
    index = public_map.index
    slots = index.offering(wanted).nonzero()[0]
    vectors = index.vectors[:, slots]
    # Copied, for the map changes meanwhile; in a thread, for a long way takes tenths of a second.
    found = await asyncio.to_thread(line.beside, vectors, body.corridor_m)
    now, there = public_map.index.vectors[:, slots], public_map.index.offering(wanted)[slots]
    there &= (now == vectors).all(axis=0)
    found = [one for one in found if there[one.slot]]
    reached = [one for one in found if _reach_m(one) <= (body.range_m or math.inf)]
    reached.sort(key=_by_detour if body.order == "detour" else _by_reach)
    told = {
        "length_m": round(line.length_m),
        "out_of_range": len(found) - len(reached),
        "items": [_told(public_map, int(slots[one.slot]), one) for one in reached[: body.limit]],
    }
    return answer(request, told, shared=False, max_age_s=MAX_AGE_S)


def _reach_m(one: Beside) -> float:
    return one.position_m + one.away_m


def _by_reach(one: Beside) -> tuple[float, float]:
    return _reach_m(one), one.away_m


def _by_detour(one: Beside) -> tuple[float, float]:
    return round(one.away_m), one.position_m  # nobody turns for less than a metre


def _told(public_map: PublicMap, slot: int, one: Beside) -> dict[str, object]:
    return public_map.told(
        slot,
        position_m=round(one.position_m),
        away_m=round(one.away_m),
        detour_m=round(2 * one.away_m),
        reach_m=round(_reach_m(one)),
    )
