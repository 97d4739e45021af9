"""The way to a station, by engines that are well, away, or lie."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from stack import WAIT_S, Running

from common.breaker import FAILURES_MAX
from common.outbound import Outbound
from registry.public_map import engines
from registry.public_map import routing as engine_calls
from registry.public_map.engines import NotBelieved, NoWay, Way
from registry.public_map.polyline import encode
from registry.public_map.routes import RouteOut
from registry.public_map.routing import BYTES_MAX, TIMEOUT_S, Routing
from registry.public_map.sphere import Point, distance_m
from registry.settings import Settings
from services.registry.tests.conftest import Operator
from services.registry.tests.mapped import placed, somewhere, until_there
from services.registry.tests.routing_engine import SPEED_M_S, Engine, valhalla, way

START, TO = Point(52.5170365, 13.3888599), Point(52.4, 13.2)


@pytest.fixture
async def engine(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    # One that means to answer has the time; where it hangs, the test sets the limit back.
    monkeypatch.setattr(engine_calls, "TIMEOUT_S", WAIT_S)
    engine = Engine()
    async with engine.running():
        yield engine


@pytest.fixture
async def calls() -> AsyncIterator[Outbound]:
    async with Outbound() as calls:
        yield calls


def routing(engine: Engine, calls: Outbound, kind: str = "osrm") -> Routing:
    settings = Settings.model_validate(
        {
            "database_url": "postgresql://nobody@127.0.0.1/none",
            "routing_url": f"{engine.url}/",
            "routing_engine": kind,
        }
    )
    return Routing(settings, calls)


@pytest.mark.parametrize("kind", ["osrm", "valhalla"])
async def test_an_engine_tells_the_way(engine: Engine, calls: Outbound, kind: str) -> None:
    found = await routing(engine, calls, kind).way(START, TO)
    assert found is not None
    line, metres, seconds = way(START, TO)
    assert found.distance_m == pytest.approx(metres, abs=1)
    assert found.duration_s == pytest.approx(seconds, abs=1)
    assert found.line == [pytest.approx(one, abs=1e-6) for one in line]
    [(path, asked)] = engine.asked
    if kind == "osrm":
        assert path == "/route/v1/driving/13.388860,52.517037;13.200000,52.400000"
        assert asked["geometries"] == "polyline6"
    else:
        assert asked["locations"][0] == {"lat": 52.517037, "lon": 13.38886}
        assert (asked["costing"], asked["units"]) == ("auto", "kilometers")


def _deeper(body: dict[str, Any], *names: Any) -> Any:
    found: Any = body
    for name in names:
        found = found[name]
    return found


def setting(*path: Any, to: Any) -> Callable[[dict[str, Any]], object]:
    def change(body: dict[str, Any]) -> None:
        _deeper(body, *path[:-1])[path[-1]] = to(_deeper(body, *path)) if callable(to) else to

    return change


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "kilometres for metres": setting("routes", 0, "distance", to=lambda told: told / 1000),
    "centimetres for metres": setting("routes", 0, "distance", to=lambda told: told * 100),
    "milliseconds": setting("routes", 0, "duration", to=lambda told: told * 1000),
    "in no time": setting("routes", 0, "duration", to=0),
    "before it begins": setting("routes", 0, "duration", to=-5),
    "no number": setting("routes", 0, "distance", to="12 km"),
    "true": setting("routes", 0, "distance", to=True),
    "not a number": setting("routes", 0, "distance", to=float("nan")),
    "endless": setting("routes", 0, "duration", to=float("inf")),
    "no line": setting("routes", 0, "geometry", to=None),
    "a line of five places": setting("routes", 0, "geometry", to=encode([START, TO], 5)),
    "a line to elsewhere": setting(
        "routes", 0, "geometry", to=encode([START, Point(53.5, 10.0)], 6)
    ),
    "a line of that length elsewhere": setting(
        "routes", 0, "geometry", to=encode([Point(53.517, 13.389), Point(53.4, 13.2)], 6)
    ),
    "a line that leaves the earth": setting("routes", 0, "geometry", to="~~~~~~~~~~?"),
    "a point": setting("routes", 0, "geometry", to=encode([START], 6)),
    "no routes": setting("routes", to=[]),
    "routes that are none": setting("routes", to=["x"]),
}


@pytest.mark.parametrize("change", LIES.values(), ids=LIES.keys())
async def test_what_cannot_be_true_is_not_believed(
    engine: Engine, calls: Outbound, change: Callable[[dict[str, Any]], object]
) -> None:
    engine.lies(change)
    assert await routing(engine, calls).way(START, TO) is None
    assert len(engine.asked) == 1


VALHALLAS: dict[str, Callable[[dict[str, Any]], object]] = {
    "miles": setting("trip", "units", to="miles"),
    "miles that it does not tell": setting("trip", "summary", to=lambda told: {
        **told, "length": told["length"] / 1.609}),
    "metres": setting("trip", "summary", "length", to=lambda told: told * 1000),
    "another status": setting("trip", "status", to=1),
    "no legs": setting("trip", "legs", to={}),
    "no summary": setting("trip", "summary", to=[]),
    "no trip": setting("trip", to=None),
}  # fmt: skip


@pytest.mark.parametrize("change", VALHALLAS.values(), ids=VALHALLAS.keys())
async def test_what_valhalla_cannot_mean_is_not_believed(
    engine: Engine, calls: Outbound, change: Callable[[dict[str, Any]], object]
) -> None:
    engine.lies(change, valhalla)
    assert await routing(engine, calls, "valhalla").way(START, TO) is None


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b"[" * 100_000, b'"x"', b"\xff\xfe", b"{}"]
)
async def test_garbage_is_no_way(engine: Engine, calls: Outbound, body: bytes) -> None:
    engine.says(body)
    assert await routing(engine, calls).way(START, TO) is None
    assert await routing(engine, calls, "valhalla").way(START, TO) is None


async def test_an_engine_that_redirects_or_answers_too_much_is_not_followed(
    engine: Engine, calls: Outbound
) -> None:
    engine.redirects()
    assert await routing(engine, calls).way(START, TO) is None
    engine.says(b" " * (BYTES_MAX + 1))
    assert await routing(engine, calls).way(START, TO) is None
    engine.says({"code": "Ok"}, 500)
    assert await routing(engine, calls).way(START, TO) is None


async def test_nobody_waits_longer_than_two_seconds_and_then_not_at_all(
    engine: Engine, calls: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_calls, "TIMEOUT_S", TIMEOUT_S)
    engine.hangs()
    to_engine = routing(engine, calls)
    began = time.monotonic()
    assert await to_engine.way(START, TO) is None
    # The engine would not answer at all; what is above the limit is the busy machine's.
    assert TIMEOUT_S - 0.1 <= time.monotonic() - began < 10
    engine.says(b"no")
    for _ in range(FAILURES_MAX - 1):
        await to_engine.way(START, TO)
    asked = len(engine.asked)
    assert await to_engine.way(START, TO) is None
    assert len(engine.asked) == asked


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("osrm", {"code": "NoRoute", "message": "Impossible route between points"}),
        ("osrm", {"code": "NoSegment", "message": "Could not find a matching segment"}),
        ("valhalla", {"error_code": 442, "error": "No path could be found for input",
                      "status_code": 400, "status": "Bad Request"}),
        ("valhalla", {"error_code": 171, "error": "No suitable edges near location",
                      "status_code": 400, "status": "Bad Request"}),
    ],
)  # fmt: skip
async def test_no_way_is_an_answer_and_no_failure(
    engine: Engine, calls: Outbound, kind: str, body: dict[str, Any]
) -> None:
    engine.says(body, 400)
    to_engine = routing(engine, calls, kind)
    for _ in range(FAILURES_MAX + 1):
        assert await to_engine.way(START, TO) is None
    engine.answer = None
    assert await to_engine.way(START, TO) is not None


def test_a_long_ferry_and_a_motorway_are_believed() -> None:
    line = [START, TO]
    metres = distance_m(START, TO)
    for seconds in (metres / 60, metres / 2 + 3000):
        assert engines.checked(Way(metres * 1.02, seconds, line), START, TO)
    with pytest.raises(NotBelieved):
        engines.checked(Way(metres, metres / 200, line), START, TO)
    here = Way(0.0, 0.0, [START, START])
    assert engines.checked(here, START, START) is here
    with pytest.raises(NoWay):
        engines.read_osrm(400, b'{"code": "NoRoute"}')


async def route(http: httpx.AsyncClient, **params: Any) -> httpx.Response:
    return await http.get("/v1/routes", params=params)


async def test_a_route_has_links_and_an_honest_distance(
    operator: Operator, registry: Running
) -> None:
    """This installation has no engine."""
    at = somewhere()
    station = await placed(operator, at)
    await until_there(registry.http, at, station)
    answer = await route(registry.http, station_id=station)
    told = RouteOut.model_validate_json(answer.content)
    assert (told.latitude, told.longitude) == at
    assert (told.source, told.distance_m, told.duration_s, told.line) == (None,) * 4
    assert told.links.geo == f"geo:{at[0]},{at[1]}"
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    start = Point(at[0] + 0.5, at[1])
    answer = await route(
        registry.http, station_id=station, latitude=start.latitude, longitude=start.longitude
    )
    told = RouteOut.model_validate_json(answer.content)
    assert told.source == "straight line"
    assert told.distance_m == round(distance_m(start, Point(*at)))
    assert (told.duration_s, told.line) == (None, None)
    # Where somebody is, is for nobody else's cache.
    assert answer.headers["Cache-Control"] == "private, max-age=60"
    for params, status in (
        ({"station_id": "no-such"}, 404),
        ({"station_id": station, "latitude": "1"}, 422),
        ({"station_id": station, "latitude": "1", "longitude": "2,5"}, 422),
        ({"latitude": "1", "longitude": "2"}, 422),
    ):
        assert (await route(registry.http, **params)).status_code == status
    await operator.http.patch(
        f"/v1/stations/{station}", json={"active": False}, headers={"If-Match": "*"}
    )
    await until_there(registry.http, at)
    assert (await route(registry.http, station_id=station)).status_code == 404


async def test_a_route_tells_the_way_of_the_engine(
    operator: Operator, registry: Running, engine: Engine, calls: Outbound
) -> None:
    at = somewhere()
    station = await placed(operator, at)
    await until_there(registry.http, at, station)
    beside = registry.app.state.beside
    registry.app.state.beside = type(beside)(**{**vars(beside), "routing": routing(engine, calls)})
    try:
        start = Point(at[0] + 0.1, at[1] + 0.1)
        answer = await route(
            registry.http, station_id=station, latitude=start.latitude, longitude=start.longitude
        )
    finally:
        registry.app.state.beside = beside
    told = RouteOut.model_validate_json(answer.content)
    line, metres, _ = way(start, Point(*at))
    assert told.source == "routing engine"
    assert told.distance_m == pytest.approx(metres, abs=1)
    assert told.duration_s == pytest.approx(metres / SPEED_M_S, abs=1)
    assert told.line is not None
    assert told.line.points() == [pytest.approx(one, abs=1e-6) for one in line]
