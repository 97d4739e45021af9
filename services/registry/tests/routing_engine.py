"""A small server that answers as OSRM and Valhalla do, by their documents, or as it should not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from stack import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from registry.public_map.polyline import encode
from registry.public_map.sphere import Point, distance_m

SPEED_M_S = 15.0


def way(start: Point, to: Point) -> tuple[list[Point], float, float]:
    """By a corner: line, metres, seconds."""
    line = [start, Point(start.latitude, to.longitude), to]
    metres = sum(distance_m(one, other) for one, other in pairwise(line))
    return line, metres, metres / SPEED_M_S


def osrm(start: Point, to: Point) -> dict[str, Any]:
    """Source: OSRM's HTTP API, service route, v1."""
    line, metres, seconds = way(start, to)
    return {
        "code": "Ok",
        "routes": [{
            "geometry": encode(line, 6), "distance": round(metres, 1),
            "duration": round(seconds, 1), "weight": round(seconds, 1),
            "weight_name": "routability",
            "legs": [{
                "steps": [], "distance": round(metres, 1), "duration": round(seconds, 1),
                "summary": "", "weight": round(seconds, 1),
            }],
        }],
        "waypoints": [
            {"hint": "x", "distance": 3.1, "name": "", "location": [one.longitude, one.latitude]}
            for one in (start, to)
        ],
    }  # fmt: skip


def valhalla(start: Point, to: Point) -> dict[str, Any]:
    """Source: Valhalla's turn-by-turn API, /route."""
    line, metres, seconds = way(start, to)
    box = {"min_lat": 0, "min_lon": 0, "max_lat": 1, "max_lon": 1}
    summary = {
        "has_time_restrictions": False, "has_toll": False, "has_highway": False, "has_ferry": False,
        **box, "time": round(seconds, 3), "length": round(metres / 1000, 3), "cost": 1.0,
    }  # fmt: skip
    return {
        "trip": {
            "locations": [
                {"type": "break", "lat": one.latitude, "lon": one.longitude, "original_index": n}
                for n, one in enumerate((start, to))
            ],
            "legs": [{"summary": summary, "shape": encode(line, 6)}],
            "summary": summary,
            "status_message": "Found route between points", "status": 0, "units": "kilometers",
            "language": "en-US",
        }
    }  # fmt: skip


class Engine:
    """How it answers is changed while it runs."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, Any]] = []
        self.answer: Callable[[Point, Point], Awaitable[Response]] | None = None
        self._over = asyncio.Event()

    def says(self, body: Any, status: int = 200) -> None:
        async def fixed(*_: Point) -> Response:
            if isinstance(body, bytes):
                return Response(body, status, media_type="application/json")
            return JSONResponse(body, status)

        self.answer = fixed

    def lies(self, change: Callable[[dict[str, Any]], object], tell: Any = osrm) -> None:
        """Answers as it should, but for what change does to it."""

        async def changed(start: Point, to: Point) -> Response:
            told = tell(start, to)
            change(told)
            return Response(json.dumps(told), media_type="application/json")

        self.answer = changed

    def hangs(self) -> None:
        async def never(*_: Point) -> Response:
            await self._over.wait()
            return Response()

        self.answer = never

    def redirects(self) -> None:
        async def elsewhere(*_: Point) -> Response:
            return RedirectResponse("http://127.0.0.1:1/")

        self.answer = elsewhere

    async def _osrm(self, request: Request) -> Response:
        self.asked.append((request.url.path, dict(request.query_params)))
        one, other = (
            tuple(map(float, pair.split(","))) for pair in request.path_params["places"].split(";")
        )
        start, to = Point(one[1], one[0]), Point(other[1], other[0])
        return await self.answer(start, to) if self.answer else JSONResponse(osrm(start, to))

    async def _valhalla(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append((request.url.path, body))
        start, to = (Point(one["lat"], one["lon"]) for one in body["locations"])
        return await self.answer(start, to) if self.answer else JSONResponse(valhalla(start, to))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        routes = [
            Route("/route/v1/driving/{places}", self._osrm),
            Route("/route", self._valhalla, methods=["POST"]),
        ]
        async with served(Starlette(routes=routes)) as self.url:
            try:
                yield
            finally:
                self._over.set()
