"""The public map of one replica: read whole at the start, then kept up with what changes.

Triggers write what may have changed into map_change, and each replica looks twice a second. No
NOTIFY: it takes a lock over the whole cluster until its commit is on disk (see common.outbox).
"""

import asyncio
import gc
import logging
import time
from bisect import bisect_right
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import prometheus_client
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common import clock
from common.database import PLATFORM, Connections
from common.problems import Problem
from registry.live.liveness import alive_after
from registry.public_map import published
from registry.public_map.index import Index

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
AT_ONCE: Final = 200  # stations a statement; 5 ms of this process, in which nobody is answered
# Whoever could not look for longer may have missed what was pruned meanwhile, and reads all anew.
KEPT: Final = timedelta(hours=1)
MISSED_S: Final = 1800.0
PRUNE_EVERY_S: Final = 300.0
# A price that the clock has changed is followed by the next one within seconds; when it is not,
# nobody knows what holds, and an old one would be wrong.
LATE: Final = timedelta(minutes=1)
STALE_S: Final = 30.0  # an old answer sends people to stations that are taken

STATIONS = prometheus_client.Gauge("registry_map_stations", "Stations on the public map")

# So many live as long as the process, and the collector took 25 ms each time to walk through them.
MANY: Final = 10_000

SNAPSHOT: Final = text("select pg_current_snapshot()::text")
# What the look before did not see yet, whenever it was written; in one statement, and so of one
# snapshot: the next look asks for what this one does not see.
CHANGES: Final = text("""
select pg_current_snapshot()::text as snapshot, m.kind, m.key
from (values (cast(cast(:seen as text) as pg_snapshot))) as before (seen) left join (
    select distinct txid, kind, key from map_change
    where txid >= pg_snapshot_xmin(cast(cast(:seen as text) as pg_snapshot))::text::bigint
) m on not pg_visible_in_snapshot(m.txid::text::xid8, before.seen)
""")
ALIVE: Final = text("select replica from gateway_replica where last_beat_at > :after")
PRUNE: Final = text(
    "delete from map_change where at < :before "
    "and txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
)


class MapNotReady(Problem):
    status = 503
    title = "The map is being read"
    headers = {"Retry-After": "5"}  # noqa: RUF012 - a constant of the class


class PublicMap:
    """One a process."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._index = Index()
        self._prices: dict[UUID, list[tuple[datetime, dict[str, Any]]]] = {}
        # Only of stations whose price billing told by itself.
        self._displayed: dict[str, published.Displayed] = {}
        self._seen = ""  # the snapshot that it is of
        self._whole = False
        self._fresh_s = -MISSED_S
        self.stale_s = STALE_S

    @property
    def index(self) -> Index:
        """Raises MapNotReady."""
        if not self._whole or time.monotonic() > self._fresh_s + self.stale_s:
            raise MapNotReady("try again in some seconds")
        return self._index

    def told(self, slot: int, **more: Any) -> dict[str, Any]:
        """As published.PublicStation has it."""
        known = self._index.shown(slot)
        return published.told(known, self._price(known[0], known[1]), **more)

    def _price(self, station_id: str, operator_id: UUID) -> dict[str, Any] | None:
        """What the station shows now, or else the operator's own tariff."""
        shown = self._displayed.get(station_id)
        if shown is not None:
            over = shown.until is not None and shown.until + LATE < clock.now()
            return None if over else shown.price
        known = self._prices.get(operator_id, ())
        begun = bisect_right(known, clock.now(), key=lambda one: one[0])
        return known[begun - 1][1] if begun else None

    async def follow(self) -> None:
        while True:
            if not self._whole or time.monotonic() > self._fresh_s + MISSED_S:
                await self._read_all()
            await self._catch_up()
            await asyncio.sleep(LOOK_EVERY_S)

    async def prune(self) -> None:
        while True:
            async with self._connections.begin(PLATFORM) as db:
                await db.execute(PRUNE, {"before": clock.now() - KEPT})
            await asyncio.sleep(PRUNE_EVERY_S)

    async def _read_all(self) -> None:
        """Whatever is committed while it reads is read again by the next look."""
        began = time.monotonic()
        index = Index()
        shown: dict[str, published.Displayed] = {}
        async with self._connections.begin(PLATFORM) as db:
            seen = str(await db.scalar(SNAPSHOT))
        after = ""
        while True:
            async with self._connections.begin(PLATFORM) as db:
                page = {"after": after, "most": AT_ONCE}
                rows = (await db.execute(published.FROM_HERE, page)).all()
            for row in rows:
                index.put(published.entry(row))
                if row.displayed:
                    shown[row.id] = published.displayed(row.display)
            if len(rows) < AT_ONCE:
                break
            after = rows[-1].id
        async with self._connections.begin(PLATFORM) as db:
            self._prices = {}
            await self._read_prices(db, None)
        self._index, self._seen, self._whole = index, seen, True
        self._displayed = shown
        if len(index) >= MANY:
            gc.freeze()
        took_s = time.monotonic() - began
        log.info("the public map has %d stations, read in %.1f s", len(index), took_s)

    async def _catch_up(self) -> None:
        looked_s = time.monotonic()
        async with self._connections.begin(PLATFORM) as db:
            rows = (await db.execute(CHANGES, {"seen": self._seen})).all()
            keys: dict[str, set[str]] = defaultdict(set)
            for row in rows:
                keys[row.kind].add(row.key)
            stations = set(keys["station"])
            if moved := keys["location"]:
                stations |= set(await db.scalars(published.AT_LOCATIONS, {"ids": list(moved)}))
            if operators := keys["tariff"]:
                await self._read_prices(db, [UUID(one) for one in operators])
            replicas = await db.scalars(ALIVE, {"after": alive_after(clock.now())})
            alive = frozenset(replicas)
        await self._read(sorted(stations))
        self._index.set_alive(alive)
        # Only now: if anything above failed, the same is read again.
        self._seen = rows[0].snapshot
        self._fresh_s = looked_s
        STATIONS.set(len(self._index))

    async def _read(self, ids: list[str]) -> None:
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            async with self._connections.begin(PLATFORM) as db:
                rows = (await db.execute(published.THESE, {"ids": some})).all()
            gone = set(some) - {row.id for row in rows}
            for row in rows:
                self._index.put(published.entry(row))
                if row.displayed:
                    self._displayed[row.id] = published.displayed(row.display)
            for station_id in gone:
                self._index.remove(station_id)
                self._displayed.pop(station_id, None)

    async def _read_prices(self, db: AsyncSession, operators: list[UUID] | None) -> None:
        asked = {"now": clock.now(), "every": operators is None, "operators": operators or []}
        found: dict[UUID, list[tuple[datetime, dict[str, Any]]]] = defaultdict(list)
        for row in await db.execute(published.PRICES, asked):
            found[row.operator_id].append((row.valid_from, published.price(row)))
        self._prices.update(found)
