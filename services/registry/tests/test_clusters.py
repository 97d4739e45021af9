"""Maps of stations, the stations along a way, and how much of it anybody may ask."""

from typing import Any

import httpx
import pytest
from stack import Running, eventually

from common import public_limits
from common.windows import Limit
from registry.public_map.clusters import Clusters
from registry.public_map.polyline import encode
from registry.public_map.routes import POINTS_MAX, Along
from registry.public_map.sphere import Point
from services.registry.tests.conftest import Operator
from services.registry.tests.mapped import (
    CCS,
    located,
    online,
    placed,
    reported,
    somewhere,
    until_there,
)


def around(at: tuple[float, float], degrees: float) -> dict[str, float]:
    return {
        "west": at[1] - degrees, "east": at[1] + degrees,
        "south": at[0] - degrees, "north": at[0] + degrees,
    }  # fmt: skip


async def drawn(http: httpx.AsyncClient, **params: Any) -> Clusters:
    answer = await http.get("/v1/clusters", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"].endswith(", max-age=5")
    return Clusters.model_validate_json(answer.content)


async def test_stations_are_drawn_together_until_they_are_looked_at_closely(
    operator: Operator, stranger: Operator, registry: Running
) -> None:
    at = somewhere()
    house = await located(operator, at)
    strong = [{"evse_id": 1, "max_power_w": 150_000, "connectors": [CCS]}]
    one, other = [await operator.station(location_id=house, evses=strong) for _ in range(2)]
    apart = await placed(stranger, (at[0], at[1] + 0.01))
    await until_there(registry.http, at, one, other, apart)
    await online(operator, one)
    await reported(operator, one, "available")
    await until_there(registry.http, at, one, available=True)
    near = await drawn(registry.http, zoom=16, **around(at, 0.02))
    [pair], [single] = near.clusters, near.stations
    assert (pair.count, pair.available, pair.max_power_w) == (2, 1, 150_000)
    assert (pair.latitude, pair.longitude) == at
    assert (single.id, single.available, single.max_power_w) == (apart, False, None)
    assert single.longitude == pytest.approx(at[1] + 0.01)
    far = await drawn(registry.http, zoom=2, **around(at, 0.02))
    assert sum(cluster.count for cluster in far.clusters) + len(far.stations) >= 3
    ccs = await drawn(
        registry.http, zoom=16, standard=CCS["standard"], min_power_w=150_000, **around(at, 0.02)
    )
    assert ([cluster.count for cluster in ccs.clusters], ccs.stations) == ([2], [])
    theirs = await drawn(stranger.http, zoom=16, only_my_contract=True, **around(at, 0.02))
    assert (theirs.clusters, [found.id for found in theirs.stations]) == ([], [apart])


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"zoom": 12}, "box-too-large"),
        ({"zoom": 23}, "less than or equal to 22"),
        ({"zoom": -1}, "greater than or equal to 0"),
        ({"zoom": "1.5"}, "integer"),
        ({"zoom": 1, "south": 60, "north": 50}, "south (60) is north of north (50)"),
        ({"zoom": 1, "west": "13,4"}, "a point and not a comma"),
        ({"zoom": 1, "north": "nan"}, "a plain number"),
        ({}, "Field required"),
    ],
)
async def test_what_cannot_be_drawn_is_a_clear_problem(
    registry: Running, params: dict[str, Any], says: str
) -> None:
    world = {"west": -180, "south": -85, "east": 180, "north": 85}
    answer = await registry.http.get("/v1/clusters", params=world | params)
    assert (answer.status_code, says in answer.text) == (422, True), answer.text


async def along(http: httpx.AsyncClient, **body: Any) -> Along:
    answer = await http.post("/v1/routes/along", json=body)
    assert answer.status_code == 200, answer.text
    return Along.model_validate_json(answer.content)


async def test_stations_along_a_way_in_the_order_of_the_drive(
    operator: Operator, registry: Running
) -> None:
    """To the north, a tenth of a degree a step: 11.1 km."""
    at = somewhere()
    up = [Point(at[0] + step / 10, at[1]) for step in range(11)]
    beside = {
        step: await placed(operator, (at[0] + step / 10, at[1] + aside))
        for step, aside in ((1, 0.0), (3, 0.001), (5, 0.5), (9, 0.0))
    }
    await until_there(registry.http, at, *beside.values(), radius_m=200_000)
    line = {"type": "LineString", "coordinates": [[one.longitude, one.latitude] for one in up]}
    found = await along(registry.http, line=line)
    assert [one.id for one in found.items] == [beside[1], beside[3], beside[9]]
    assert found.length_m == pytest.approx(111_195, abs=2)
    assert (found.items[0].position_m, found.items[0].detour_m) == (11_120, 0)
    second = found.items[1]
    assert second.reach_m == pytest.approx(second.position_m + second.away_m, abs=1)
    assert second.detour_m == pytest.approx(2 * second.away_m, abs=1)
    encoded = await along(registry.http, polyline=encode(up, 6), precision=6)
    assert encoded.items == found.items
    # What the car does not reach is counted, and not told.
    near = await along(registry.http, line=line, range_m=50_000)
    assert [one.id for one in near.items] == [beside[1], beside[3]]
    assert near.out_of_range == 1
    cheap = await along(registry.http, line=line, order="detour", limit=2)
    assert [one.id for one in cheap.items] == [beside[1], beside[9]]
    replica = await online(operator, beside[9])
    await reported(operator, beside[9], "available")

    async def free() -> bool:
        told = await along(registry.http, line=line, available=True)
        return [one.id for one in told.items] == [beside[9]]

    await eventually(free)
    assert replica
    back = await along(
        registry.http, line=line | {"coordinates": line["coordinates"][::-1]}, available=True
    )
    assert back.items[0].position_m == pytest.approx(11_120, abs=1)


LINE = [[13.4, 52.5], [13.5, 52.6]]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "give the way as a line or as a polyline"),
        ({"line": {"coordinates": LINE}, "polyline": "??"}, "as a line or as a polyline"),
        ({"line": {"coordinates": LINE[:1]}}, "at least 2 items"),
        ({"line": {"coordinates": [[52.5, 113.4], [1, 2]]}}, "longitude comes first"),
        ({"line": {"coordinates": [[1], [2]]}}, "at least 2 items"),
        ({"line": {"coordinates": [["x", 1], [2, 2]]}}, "a valid number"),
        ({"line": {"type": "Polygon", "coordinates": LINE}}, "LineString"),
        ({"line": {"coordinates": [[0, 0]] * (POINTS_MAX + 1)}}, f"at most {POINTS_MAX}"),
        ({"polyline": "?" * (2 * POINTS_MAX + 2)}, f"more than {POINTS_MAX} points"),
        ({"polyline": "??"}, "two points or more"),
        ({"polyline": "a b"}, "in no encoded line"),
        ({"polyline": "?" * 200_001}, "at most 200000"),
        ({"polyline": encode([Point(52, 13), Point(53, 13)], 6)}, "not on the earth"),
        ({"line": {"coordinates": [[-170, 0], [0, 0], [170, 0]]}}, "line-too-long"),
        ({"line": {"coordinates": LINE}, "range_m": 0}, "greater than 0"),
        ({"line": {"coordinates": LINE}, "corridor_m": 20_001}, "less than or equal to 20000"),
        ({"line": {"coordinates": LINE}, "corridor": 5}, "Extra inputs"),
    ],
)
async def test_a_way_that_is_none_is_a_clear_problem(
    registry: Running, body: dict[str, Any], says: str
) -> None:
    answer = await registry.http.post("/v1/routes/along", json=body)
    assert (answer.status_code, says in answer.text) == (422, True), answer.text[:500]


async def test_json_that_no_number_is_of_is_refused(registry: Running) -> None:
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        body = f'{{"line": {{"coordinates": [[{number}, 1], [2, 2]]}}}}'
        answer = await registry.http.post(
            "/v1/routes/along", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 422, answer.text


async def test_one_network_may_ask_so_often(registry: Running) -> None:
    before = registry.app.state.public_limits
    limits = {"map": [Limit(3, 60.0)], "routes": [Limit(1, 60.0)]}
    public_limits.install(registry.app, limits)
    point = {"latitude": 0, "longitude": 0}
    try:
        answers = [await registry.http.get("/v1/nearby", params=point) for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 120
        box = {"west": 0, "south": 0, "east": 1, "north": 1, "zoom": 5}
        assert (await registry.http.get("/v1/clusters", params=box)).status_code == 429
        body = {"line": {"coordinates": LINE}}
        for status in (200, 429):
            answer = await registry.http.post("/v1/routes/along", json=body)
            assert answer.status_code == status
        route = await registry.http.get("/v1/routes", params={"station_id": "x"})
        assert route.status_code == 429
    finally:
        registry.app.state.public_limits = before
