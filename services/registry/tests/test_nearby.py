"""What apps ask: stations nearby, as anybody may see them."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from stack import Running, eventually

from common.clock import now
from common.events import GatewayBeat, TariffChanged, TariffPrices
from common.ids import uuid7
from common.tariffs import keep_tariff
from registry.public_map.nearby import NearbyPage
from services.registry.tests.conftest import Operator
from services.registry.tests.mapped import (
    CCS,
    FRESH_S,
    TYPE_2,
    located,
    names,
    nearby,
    online,
    placed,
    reported,
    somewhere,
    until_there,
)


def east(at: tuple[float, float], steps: float) -> tuple[float, float]:
    return at[0], at[1] + steps / 100


async def test_anybody_finds_stations_by_distance(operator: Operator, registry: Running) -> None:
    at = somewhere()
    far, near, here = [await placed(operator, east(at, steps)) for steps in (5, -3, 0)]
    await until_there(registry.http, at, far, near, here)
    page = await nearby(registry.http, at)
    assert [one["id"] for one in page["items"]] == [here, near, far]
    distances = [one["distance_m"] for one in page["items"]]
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert page["next_cursor"] is None
    assert await names(registry.http, at, radius_m=1000) == [here]


async def test_what_is_told_is_a_closed_list(operator: Operator, registry: Running) -> None:
    at = somewhere()
    station = await placed(
        operator, at, vendor="Hidden", model="Secret", evses=[
            {"evse_id": 1, "code": None, "max_power_w": 22_000, "connectors": [TYPE_2]},
        ],
    )  # fmt: skip
    await until_there(registry.http, at, station)
    answer = await registry.http.get(
        "/v1/nearby", params={"latitude": at[0], "longitude": at[1], "radius_m": 100}
    )
    assert NearbyPage.model_validate_json(answer.content).model_dump(mode="json") == answer.json()
    [told] = answer.json()["items"]
    assert told == {
        "id": station, "operator_id": str(operator.id), "name": "Level 2", "distance_m": 0,
        "location": {
            "name": "P20", "street": "1 Lake St", "postal_code": "96950", "city": "Garapan",
            "country": "US", "latitude": at[0], "longitude": at[1],
        },
        "online": False, "available": False, "price": None,
        "evses": [{
            "evse_id": 1, "code": None, "max_power_w": 22_000, "available": False,
            "connectors": [{
                "connector_id": 1, "standard": "IEC_62196_T2", "format": "SOCKET",
                "power_type": "AC_3_PHASE", "status": None,
            }],
        }],
    }  # fmt: skip


async def test_one_evse_has_all_that_is_wanted(operator: Operator, registry: Running) -> None:
    at = somewhere()
    mixed = await placed(operator, at, evses=[
        {"evse_id": 1, "max_power_w": 22_000, "connectors": [TYPE_2]},
        {"evse_id": 2, "max_power_w": 150_000, "connectors": [CCS]},
    ])  # fmt: skip
    unknown = await placed(operator, east(at, 1), evses=[{"evse_id": 1, "connectors": [TYPE_2]}])
    await until_there(registry.http, at, mixed, unknown)
    type_2, ccs = TYPE_2["standard"], CCS["standard"]
    assert await names(registry.http, at, standard=type_2) == [mixed, unknown]
    assert await names(registry.http, at, standard=[ccs, "CHADEMO"]) == [mixed]
    assert await names(registry.http, at, min_power_w=50_000) == [mixed]
    assert await names(registry.http, at, standard=type_2, min_power_w=22_000) == [mixed]
    assert await names(registry.http, at, standard=type_2, min_power_w=22_001) == []


async def test_available_is_what_is_free_on_a_station_that_is_online(
    operator: Operator, registry: Running
) -> None:
    at = somewhere()
    station = await placed(operator, at, evses=[
        {"evse_id": 1, "connectors": [{**TYPE_2, "connector_id": 1}, {**CCS, "connector_id": 2}]},
    ])  # fmt: skip
    await until_there(registry.http, at, station)

    async def told() -> dict[str, Any]:
        [found] = (await nearby(registry.http, at))["items"]
        return dict(found)

    def until(**wanted: Any) -> Callable[[], Awaitable[bool]]:
        async def as_wanted() -> bool:
            found = await told()
            return all(found[name] == value for name, value in wanted.items())

        return as_wanted

    await reported(operator, station, "available", connector_id=2)
    replica = await online(operator, station)
    await eventually(until(online=True, available=True))
    ccs, type_2 = CCS["standard"], TYPE_2["standard"]
    assert await names(registry.http, at, available=True) == [station]
    assert await names(registry.http, at, available=True, standard=ccs) == [station]
    assert await names(registry.http, at, available=True, standard=type_2) == []
    [evse] = (await told())["evses"]
    assert [one["status"] for one in evse["connectors"]] == [None, "available"]
    # A car at one of its plugs takes the whole EVSE.
    await reported(operator, station, "charging", connector_id=1)
    await eventually(until(available=False, online=True))
    await reported(operator, station, "available", connector_id=1)
    await eventually(until(available=True))
    # The station as a whole.
    await reported(operator, station, "faulted", evse_id=0, connector_id=0)
    await eventually(until(available=False))
    await reported(operator, station, "available", evse_id=0, connector_id=0)
    await eventually(until(available=True))
    # Its gateway falls silent: nothing is known any more.
    async with registry.app.state.connections.begin("*") as db:
        from sqlalchemy import text  # noqa: PLC0415

        await db.execute(
            text("update gateway_replica set last_beat_at = :at where replica = :replica"),
            {"at": now() - timedelta(minutes=1), "replica": replica},
        )
    await eventually(until(online=False, available=False))
    [evse] = (await told())["evses"]
    assert [one["status"] for one in evse["connectors"]] == [None, None]


async def test_what_happens_is_on_the_map_within_two_seconds(
    operator: Operator, registry: Running
) -> None:
    at = somewhere()
    station = await placed(operator, at)
    await until_there(registry.http, at, station)
    replica = await online(operator, station)
    took = []

    for status, free in (("available", [station]), ("charging", [])) * 3:
        await registry.publish(GatewayBeat(replica=replica))  # however long this test takes
        await reported(operator, station, status)
        # From here on it is the map's: until then a busy machine has its time.

        async def handled(status: str = status) -> bool:
            [evse] = (await operator.status(station))["evses"]
            return bool(evse["connectors"][0]["status"] == status)

        await eventually(handled)
        began = time.monotonic()
        await until_there(registry.http, at, *free, available=True)
        took.append(time.monotonic() - began)
    assert statistics.median(took) < FRESH_S, took  # one may meet a busy machine


async def test_stations_that_come_and_go(operator: Operator, registry: Running) -> None:
    at, other = somewhere(), somewhere()
    there = await located(operator, at)
    station = await operator.station(location_id=there)
    await operator.station()  # nowhere
    await until_there(registry.http, at, station)
    path, anyhow = f"/v1/stations/{station}", {"If-Match": "*"}
    await operator.http.patch(path, json={"active": False}, headers=anyhow)
    await until_there(registry.http, at)
    await operator.http.patch(path, json={"active": True, "name": "Back"}, headers=anyhow)
    await until_there(registry.http, at, station)
    place = f"/v1/locations/{there}"
    for public, found in ((False, []), (True, [station])):
        await operator.http.patch(place, json={"publish": public}, headers=anyhow)
        await until_there(registry.http, at, *found)
    moved = {"latitude": str(other[0]), "longitude": str(other[1]), "name": "Moved"}
    await operator.http.patch(place, json=moved, headers=anyhow)
    await until_there(registry.http, at)
    await until_there(registry.http, other, station)
    [told] = (await nearby(registry.http, other))["items"]
    assert (told["name"], told["location"]["name"]) == ("Back", "Moved")
    evses = [{"evse_id": n, "max_power_w": 300_000} for n in (1, 2, 3)]
    await operator.http.patch(path, json={"evses": evses}, headers=anyhow)
    await until_there(registry.http, other, station, min_power_w=300_000)


def tariff(operator: Operator, price: str, *, begins_s: float = -60, **more: Any) -> TariffChanged:
    return TariffChanged(
        operator_id=operator.id,
        tariff_id=uuid7(),
        name="for nobody else",
        valid_from=now() + timedelta(seconds=begins_s),
        prices=TariffPrices(
            currency="EUR", tax_included=True, vat_percent=Decimal(19),
            energy_price=Decimal(price), time_price=Decimal("0.10"), start_fee=Decimal(1),
        ),
        **more,
    )  # fmt: skip


async def test_the_price_is_the_operators_own_that_holds_now(
    operator: Operator, registry: Running
) -> None:
    at = somewhere()
    station = await placed(operator, at)
    await until_there(registry.http, at, station)

    async def price() -> Any:
        return (await nearby(registry.http, at))["items"][0]["price"]

    assert await price() is None
    began = tariff(operator, "0.4900", begins_s=-3600)
    await registry.publish(began)
    await eventually(price)
    assert await price() == {
        "currency": "EUR", "tax_included": True, "vat_percent": "19", "energy_price": "0.4900",
        "time_price": "0.10", "start_fee": "1", "valid_from": began.valid_from.isoformat(),
        "free_of_charge": False, "lines": [], "valid_until": None,
    }  # fmt: skip
    # An agreement's is nobody else's, and one of tomorrow is not yet one.
    await registry.publish(tariff(operator, "0.01", agreed_only=True))
    await registry.publish(tariff(operator, "0.02", begins_s=3600))
    soon = tariff(operator, "0.55", begins_s=3)
    await registry.publish(soon)

    async def turned() -> bool:
        return bool((await price())["energy_price"] != "0.4900")

    while now() < soon.valid_from:  # it is told meanwhile, and not yet valid
        early = await turned()
        assert not (early and now() < soon.valid_from)
        await asyncio.sleep(0.1)
    await eventually(turned)
    assert (await price())["energy_price"] == "0.55"


async def test_a_withdrawn_tariff_is_no_price_in_whatever_order_it_is_told(
    operator: Operator, registry: Running
) -> None:
    at = somewhere()
    station = await placed(operator, at)
    await until_there(registry.http, at, station)
    stays, first, last = (
        tariff(operator, price, begins_s=-3600) for price in ("0.1", "0.2", "0.3")
    )
    gone = [one.model_copy(update={"id": uuid7(), "withdrawn": True}) for one in (first, last)]
    async with registry.app.state.connections.begin(operator.id) as db:
        for told in (stays, first, *gone, last):
            await keep_tariff(db, told)

    async def price() -> Any:
        return (await nearby(registry.http, at))["items"][0]["price"]

    assert (await eventually(price))["energy_price"] == "0.1"


async def test_only_my_contract_is_the_operator_of_the_token(
    operator: Operator, stranger: Operator, registry: Running
) -> None:
    at = somewhere()
    ours, theirs = await placed(operator, at), await placed(stranger, at)
    await until_there(registry.http, at, ours, theirs)
    for role in ("driver", "partner", "operator-staff"):
        async with registry.as_(operator.id, role=role) as http:
            assert await names(http, at, only_my_contract=True) == [ours]
            assert set(await names(http, at)) == {ours, theirs}
    params = {"latitude": at[0], "longitude": at[1], "only_my_contract": True}
    answer = await registry.http.get("/v1/nearby", params=params)
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:openlade:problem:unauthenticated"
    bad = await registry.http.get(
        "/v1/nearby", params=params, headers={"Authorization": "Bearer made.up.one"}
    )
    assert bad.status_code == 401
    async with registry.as_(None, role="platform-admin") as http:
        assert (await http.get("/v1/nearby", params=params)).status_code == 400
        http.headers["Operator-Id"] = str(stranger.id)
        assert await names(http, at, only_my_contract=True) == [theirs]


async def test_a_box_across_the_date_line(operator: Operator, registry: Running) -> None:
    south = round(somewhere()[0], 3)
    box = {"west": 179.9, "south": south, "east": -179.9, "north": south + 0.001}
    inside = [await placed(operator, (south, lon)) for lon in (179.95, 180, -180, -179.95)]
    await placed(operator, (south, 179.8))

    async def found() -> bool:
        return set(await names(registry.http, None, **box)) == set(inside)

    await eventually(found)
    # From a point of its own: by the distance from there.
    ordered = await names(
        registry.http, None, **box, latitude=south, longitude=179.95, radius_m=1_000_000
    )
    assert (ordered[0], ordered[-1]) == (inside[0], inside[3])


async def test_pages_follow_each_other(operator: Operator, registry: Running) -> None:
    at = somewhere()
    here = await located(operator, at)
    stations = {await operator.station(location_id=here) for _ in range(7)}
    await until_there(registry.http, at, *stations)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await nearby(registry.http, at, limit=3, **cursor)
        seen += [one["id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(seen) == 7
    assert set(seen) == stations


async def test_caches_may_keep_it_for_a_moment(operator: Operator, registry: Running) -> None:
    at = somewhere()
    station = await placed(operator, at)
    await until_there(registry.http, at, station)
    params = {"latitude": at[0], "longitude": at[1], "radius_m": 100}
    answer = await registry.http.get("/v1/nearby", params=params)
    assert answer.headers["Cache-Control"] == "public, max-age=5"
    assert answer.headers["Vary"] == "Authorization"
    for tag in (answer.headers["ETag"], f'"other", W/{answer.headers["ETag"]}'):
        same = await registry.http.get("/v1/nearby", params=params, headers={"If-None-Match": tag})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["ETag"] == answer.headers["ETag"]
    mine = await operator.http.get("/v1/nearby", params=params | {"only_my_contract": True})
    assert mine.headers["Cache-Control"] == "private, max-age=5"


POINT = {"latitude": "52.5", "longitude": "13.4"}
BOX = {"west": "13", "south": "52", "east": "14", "north": "53"}


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "give latitude and longitude"),
        ({"latitude": "52.5"}, "latitude and longitude, or neither"),
        (POINT | {"latitude": "52,5"}, "a point and not a comma"),
        (POINT | {"latitude": "91"}, "less than or equal to 90"),
        (POINT | {"longitude": "-180.1"}, "greater than or equal to -180"),
        (POINT | {"latitude": "NaN"}, "a plain number"),
        (POINT | {"latitude": "Infinity"}, "a plain number"),
        (POINT | {"latitude": "1e999"}, "less than or equal to 90"),
        (POINT | {"latitude": "1_0"}, "a plain number"),
        (POINT | {"latitude": ""}, "a plain number"),
        (POINT | {"latitude": "5" * 100}, "a plain number"),
        (POINT | {"radius_m": "0"}, "greater than 0"),
        (POINT | {"radius_m": "-5"}, "greater than 0"),
        (POINT | {"radius_m": "1e300"}, "less than or equal to"),
        ({**BOX, "radius_m": "10"}, "a radius is around a point"),
        ({**BOX, "south": "54"}, "south (54) is north of north (53)"),
        ({"west": "13", "south": "52"}, "all of west, south, east and north"),
        (POINT | {"standard": "SCHUKO"}, "IEC_62196_T2"),
        (POINT | {"limit": "101"}, "less than or equal to 100"),
        (POINT | {"lat": "5"}, "Extra inputs"),
        (POINT | {"min_power_w": "-1"}, "greater than or equal to 0"),
    ],
)
async def test_what_cannot_be_asked_is_a_clear_problem(
    registry: Running, params: dict[str, str], says: str
) -> None:
    answer = await registry.http.get("/v1/nearby", params=params)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.text


@pytest.mark.parametrize(
    "cursor", ["x", "!!", "MHgxcCsxIDE", "bmFuIDE", "MHgxcC00IDk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"]
)
async def test_a_cursor_that_was_made_up_is_refused_or_harmless(
    registry: Running, cursor: str
) -> None:
    answer = await registry.http.get("/v1/nearby", params=POINT | {"cursor": cursor})
    assert answer.status_code in (200, 422), answer.text


async def test_swapped_coordinates_are_a_legal_point_elsewhere(registry: Running) -> None:
    swapped = {"latitude": "13.4", "longitude": "52.5", "radius_m": "1"}
    answer = await registry.http.get("/v1/nearby", params=swapped)
    assert (answer.status_code, answer.json()["items"]) == (200, [])
