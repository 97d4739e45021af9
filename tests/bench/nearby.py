"""python -m bench.nearby: what apps ask, among 150,000 stations that stand as Germany's do.

Each question as the service's function answers it in this process, JSON included, and over HTTP as
a registry of its own does. Beside them in the same run: a route that does nothing, and a scan of
the same stations in SQL. Then how soon a car that comes is on the map.
"""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import aftermath
import asyncpg
import httpx
import orjson
from stack import eventually

from common import database, migrate
from local_stack.servers import Nats, Postgres, free_port
from registry.public_map import along, clusters, nearby
from registry.public_map.index import ANYTHING, Wanted
from registry.public_map.keeping import PublicMap
from registry.public_map.sphere import EARTH_M, Point

STATIONS = 150_000
TIMES = 200
OPERATORS = [uuid4() for _ in range(50)]
REPLICA = uuid4()
# Name of nothing, but where people live: latitude, longitude, hundred thousands of them.
CITIES = [
    (52.52, 13.40, 37), (53.55, 10.0, 19), (48.14, 11.58, 15), (50.94, 6.96, 11), (50.11, 8.68, 8),
    (48.78, 9.18, 6), (51.23, 6.78, 6), (51.34, 12.37, 6), (51.51, 7.47, 6), (51.46, 7.01, 6),
    (53.08, 8.80, 6), (51.05, 13.74, 6), (52.37, 9.73, 5), (49.45, 11.08, 5), (51.43, 6.76, 5),
    (51.48, 7.22, 4), (51.26, 7.18, 4), (52.02, 8.53, 3), (50.73, 7.10, 3), (51.96, 7.63, 3),
    (49.01, 8.40, 3), (49.49, 8.47, 3), (48.37, 10.90, 3), (50.08, 8.24, 3), (54.32, 10.12, 2),
    (54.09, 12.10, 2), (50.98, 11.03, 2), (52.13, 11.63, 2), (47.99, 7.85, 2), (49.24, 6.99, 2),
]  # fmt: skip
LAND = (47.4, 54.9, 6.0, 14.9)
KINDS = [  # standard, format, power type, watts, of a hundred
    ("IEC_62196_T2", "SOCKET", "AC_3_PHASE", 22_000, 62),
    ("IEC_62196_T2", "SOCKET", "AC_3_PHASE", 11_000, 13),
    ("IEC_62196_T2_COMBO", "CABLE", "DC", 50_000, 6),
    ("IEC_62196_T2_COMBO", "CABLE", "DC", 150_000, 10),
    ("IEC_62196_T2_COMBO", "CABLE", "DC", 300_000, 7),
    ("CHADEMO", "CABLE", "DC", 50_000, 2),
]
BERLIN: dict[str, Any] = {"latitude": 52.5, "longitude": 13.4}
GERMANY: dict[str, Any] = {"west": 5.9, "south": 47.3, "east": 15.0, "north": 55.0}
CCS, RARE, NONE = "IEC_62196_T2_COMBO", "CHAOJI", "TESLA_R"
NEARBY: dict[str, dict[str, Any]] = {
    "20 around Berlin": BERLIN,
    "100 around Berlin": BERLIN | {"limit": 100},
    "20 within 5 km": BERLIN | {"radius_m": 5000},
    "20 free with CCS and 150 kW": BERLIN | {
        "standard": [CCS], "min_power_w": 150_000, "available": True},
    "20 in all Germany, from its middle": GERMANY,
    "the only one of its kind, far away": BERLIN | {"standard": [RARE]},
    "one that does not exist": BERLIN | {"standard": [NONE]},
    "from the other side of the earth": {"latitude": -52.5, "longitude": -166.6},
}  # fmt: skip
CLUSTERS: dict[str, dict[str, Any]] = {
    "the world at zoom 2": {"west": -180, "south": -85, "east": 180, "north": 85, "zoom": 2},
    "Germany at zoom 6": GERMANY | {"zoom": 6},
    "Germany at zoom 8": GERMANY | {"zoom": 8},
    "Berlin at zoom 12": {"west": 13.1, "south": 52.4, "east": 13.7, "north": 52.65, "zoom": 12},
}
SCAN = f"""
select s.id from registry.station s join registry.location l on l.id = s.location_id
where s.active order by 2 * {EARTH_M} * asin(sqrt(
    sin(radians(l.latitude::float8 - 52.5) / 2) ^ 2 + cos(radians(52.5))
    * cos(radians(l.latitude::float8)) * sin(radians(l.longitude::float8 - 13.4) / 2) ^ 2
)) limit 20
"""


def place(dice: random.Random) -> tuple[float, float]:
    if dice.random() < 0.35:
        return dice.uniform(*LAND[:2]), dice.uniform(*LAND[2:])
    [(latitude, longitude, people)] = dice.choices(CITIES, [one[2] for one in CITIES])
    spread = 0.02 * people**0.5
    return dice.gauss(latitude, spread), dice.gauss(longitude, 1.5 * spread)


async def seed(url: str) -> None:
    dice = random.Random(1)
    db = await asyncpg.connect(url)
    # Without triggers, or the benchmark would be one of them.
    await db.execute("set session_replication_role = replica; set search_path = registry")
    tables: dict[str, list[tuple[Any, ...]]] = {
        name: [] for name in (
            "location", "station", "evse", "connector", "connector_live", "station_live")
    }  # fmt: skip
    now = await db.fetchval("select now()")
    for n in range(STATIONS):
        operator, where, station = dice.choice(OPERATORS), uuid4(), f"S-{n:06}"
        latitude, longitude = place(dice) if n else (60.17, 24.94)
        tables["location"].append((
            where, operator, 1, f"Garage {n}", f"Street {n % 200}", f"{n % 100_000:05}", "City",
            "DE", round(latitude, 7), round(longitude, 7), "Europe/Berlin",
        ))  # fmt: skip
        tables["station"].append(
            (station, operator, 1, f"Station {n}", where, None, None, True, 1, "x")
        )
        tables["station_live"].append((operator, station, 1, REPLICA, dice.random() < 0.95, now))
        for evse in range(1, dice.choice((1, 2, 2, 2, 4)) + 1):
            [(standard, form, power_type, watts, _)] = dice.choices(KINDS, [k[4] for k in KINDS])
            standard = standard if n else RARE
            key = (operator, station, evse)
            tables["evse"].append((*key, f"DE*ABC*E{n:06}*{evse}", watts))
            tables["connector"].append((*key, 1, standard, form, power_type))
            status = "available" if dice.random() < 0.7 else "charging"
            tables["connector_live"].append((*key, 1, 1, status, now, now, now))
    columns = {
        "station_live": ("operator_id", "station_id", "generation", "replica", "connected",
                         "connection_since_at"),
        "connector_live": ("operator_id", "station_id", "evse_id", "connector_id", "generation",
                           "status", "since_at", "reported_at", "received_at"),
    }  # fmt: skip
    for name, rows in tables.items():
        listed = columns.get(name) or [
            row["column_name"] for row in await db.fetch(
                "select column_name from information_schema.columns where table_schema = "
                "'registry' and table_name = $1 order by ordinal_position", name)
        ][: len(rows[0])]  # fmt: skip
        await db.copy_records_to_table(name, records=rows, columns=listed)
    await db.execute("analyze")
    await db.close()


async def beat(url: str) -> None:
    """A gateway that lives as long as the benchmark."""
    db = await asyncpg.connect(url)
    while True:
        await db.execute(
            "insert into registry.gateway_replica (replica, last_beat_at, silent) "
            "values ($1, now(), false) on conflict (replica) do update set last_beat_at = now()",
            REPLICA,
        )  # fmt: skip
        await asyncio.sleep(5)


async def timed(ask: Callable[[], Awaitable[object]], cpu_s: Callable[[], float]) -> str:
    for _ in range(10):
        await ask()
    took, cpu = [], cpu_s()
    for _ in range(TIMES):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    cpu_ms = (cpu_s() - cpu) / TIMES * 1000
    took.sort()
    return f"{took[TIMES // 2]:6.2f} {took[int(TIMES * 0.99)]:6.2f} {cpu_ms:6.2f}"


def cpu_of(pid: int) -> Callable[[], float]:
    def seconds() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    return seconds


async def measured(public_map: PublicMap, api: httpx.AsyncClient, server: int) -> None:
    async def over_http(path: str, params: dict[str, Any]) -> str:
        async def ask() -> None:
            assert (await api.get(path, params=params)).status_code == 200

        return await timed(ask, cpu_of(server))

    async def by_function(find: Callable[[], Any]) -> str:
        async def ask() -> None:
            orjson.dumps(find())

        return await timed(ask, time.process_time)

    print(f"{'':44}  function p50, p99, CPU    HTTP p50, p99, CPU; ms")
    bare = await over_http("/livez", {})
    print(f"{'a route that does nothing':44}  {'':24}  {bare}", flush=True)
    for name, asked in NEARBY.items():
        query = nearby.NearbyQuery(**asked)
        wanted = query.wanted(None)
        told = await by_function(partial(nearby.page_of, public_map, query, wanted))
        print(f"{name:44}  {told:24}  {await over_http('/v1/nearby', asked)}", flush=True)
    mine = Wanted(operator_id=OPERATORS[0])
    berlin = nearby.NearbyQuery(**BERLIN)
    told = await by_function(partial(nearby.page_of, public_map, berlin, mine))
    print(f"{'20 of my contract around Berlin':44}  {told}", flush=True)
    for name, asked in CLUSTERS.items():
        drawing = clusters.ClustersQuery(**asked)
        told = await by_function(partial(clusters.drawn, public_map, drawing, ANYTHING))
        print(f"{name:44}  {told:24}  {await over_http('/v1/clusters', asked)}", flush=True)
    for points in (50, 5000):
        share = [n / (points - 1) for n in range(points)]
        line = along.Line([Point(52.5 - 4.4 * one, 13.4 - 1.8 * one) for one in share])
        told = await by_function(partial(_count, line, public_map))
        print(f"{f'Berlin to Munich, {points} points':44}  {told}", flush=True)


def _count(line: along.Line, public_map: PublicMap) -> int:
    return len(line.beside(public_map.index.vectors, 2000))


async def scan(url: str) -> None:
    db = await asyncpg.connect(url)

    async def ask() -> None:
        await db.fetch(SCAN)

    for _ in range(3):
        await ask()
    began = time.perf_counter()
    for _ in range(10):
        await ask()
    took_ms = (time.perf_counter() - began) * 100
    print(f"the 20 nearest by a scan in SQL, ids alone: {took_ms:.0f} ms")
    await db.close()


async def freshness(url: str, api: httpx.AsyncClient) -> None:
    db = await asyncpg.connect(url)
    row = await db.fetchrow(
        "select c.station_id, l.latitude::float8, l.longitude::float8 from registry.connector_live "
        "c join registry.station s on s.id = c.station_id join registry.location l "
        "on l.id = s.location_id where c.evse_id = 1 order by c.station_id offset 100 limit 1"
    )
    assert row
    station, latitude, longitude = row
    took = []
    for turn in range(20):
        status = ("charging", "available")[turn % 2]
        await asyncio.sleep(random.uniform(0, 0.5))
        await db.execute(
            "update registry.connector_live set status = $1 where station_id = $2 and evse_id = 1",
            "faulted" if turn == 0 else status, station,
        )  # fmt: skip
        began = time.perf_counter()
        expected = "faulted" if turn == 0 else status
        asked = {"latitude": latitude, "longitude": longitude, "radius_m": 1}
        async with asyncio.timeout(30):
            while True:
                items = (await api.get("/v1/nearby", params=asked)).json()["items"]
                [one] = [item for item in items if item["id"] == station]
                if one["evses"][0]["connectors"][0]["status"] == expected:
                    break
                await asyncio.sleep(0.005)
        took.append(time.perf_counter() - began)
    took.sort()
    print(f"a status is on the map after {took[10]:.2f} s (median), {took[-1]:.2f} s (most)")
    await db.close()


@contextmanager
def servers() -> Iterator[tuple[str, str]]:
    """Addresses of PostgreSQL and NATS."""
    home = Path(tempfile.mkdtemp(prefix="csms-bench-"))
    aftermath.perishable(home)
    home.chmod(0o755)
    postgres, nats = Postgres(home / "postgres"), Nats(home / "nats")
    postgres.start()
    nats.start()
    migrate.upgrade("registry", postgres.url())
    yield postgres.url(), nats.url
    nats.stop()
    postgres.stop()


@contextmanager
def registry(url: str, nats: str) -> Iterator[tuple[str, int]]:
    """Its address and process."""
    port = free_port()
    environment = os.environ | {
        "CSMS_DATABASE_URL": url, "CSMS_NATS_URL": nats, "CSMS_REGISTRY_PORT": str(port),
        "CSMS_MAP_REQUESTS_PER_MINUTE": "0", "CSMS_LOG_LEVEL": "error",
    }  # fmt: skip
    command = [sys.executable, "-m", "common.run", "serve", "registry"]
    server = subprocess.Popen(command, env=environment)
    yield f"http://127.0.0.1:{port}", server.pid
    server.terminate()
    server.wait()


async def read(connections: database.Connections) -> PublicMap:
    public_map = PublicMap(connections)
    began, cpu = time.monotonic(), time.process_time()
    await public_map._read_all()
    await public_map._catch_up()
    took_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
    print(f"read in {took_s:.1f} s, of this process {cpu_s:.1f} s of CPU", flush=True)
    public_map.stale_s = 3600
    return public_map


async def main(url: str, nats: str) -> None:
    print(f"{os.cpu_count()} cores; {STATIONS} stations", flush=True)
    await seed(url)
    engine = database.engine(url, "registry")
    beating = asyncio.ensure_future(beat(url))
    public_map = await read(database.Connections(engine))
    with registry(url, nats) as (address, process):
        async with httpx.AsyncClient(base_url=address, timeout=60) as api:

            async def reading() -> bool:
                try:
                    return (await api.get("/v1/nearby", params=BERLIN)).status_code == 200
                except httpx.HTTPError:
                    return False

            await eventually(reading, 300)
            await measured(public_map, api, process)
            await scan(url)
            await freshness(url, api)
    assert not beating.done(), beating.exception()
    beating.cancel()
    await engine.dispose()


if __name__ == "__main__":
    with servers() as addresses:
        asyncio.run(main(*addresses))
