"""Gateways that fell silent or beat again, and what is to be swept away after them.

The beat of a dead gateway stays away, which is no event: somebody has to look. Whatever is read
reckons with the clock (registry.live.liveness); this tells those who follow.
"""

import asyncio
import logging
import time
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text

from common import clock
from common.database import PLATFORM, Connections
from registry.live import news
from registry.live.liveness import alive_after

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0  # with the 45 s that a beat is waited for, within the 60 s of R4
SWEEP_EVERY_S: Final = 3600.0
# A gateway that was silent as long is not the same one when it comes back.
GONE_AFTER: Final = timedelta(days=1)
# Events come late by seconds, after an outage by some hours.
SETTLED_AFTER: Final = timedelta(hours=12)
LOOK_BACK: Final = timedelta(days=2)
# Months are told for three years and a bit; of what is older nothing is counted.
KEPT_FOR: Final = timedelta(days=1200)

_TURNED: Final = text(
    "update gateway_replica set silent = not silent "
    "where silent = (last_beat_at > :alive_after) returning replica, silent"
)
_STATIONS: Final = text(
    "select operator_id, station_id from station_live "
    "where connected and replica = any(cast(:replicas as uuid[]))"
)
# Before the replica itself is forgotten: its sockets ended somewhere after its last beat.
_CLOSE: Final = text(
    "update station_connection c set closed_at = greatest(c.opened_at, r.last_beat_at) "
    "from gateway_replica r where c.replica = r.replica and c.closed_at is null "
    "and r.last_beat_at < :gone_before"
)
# What tells the same as the one before it; nothing comes in between any more.
_REPEATED: Final = text("""
delete from connector_standing h
where h.slot_at >= :since and h.slot_at < :until and exists (
    select from (
        select standing, error_code, vendor_error_code from connector_standing p
        where p.operator_id = h.operator_id and p.station_id = h.station_id
        and p.evse_id = h.evse_id and p.connector_id = h.connector_id and p.slot_at < h.slot_at
        order by p.slot_at desc limit 1
    ) before
    where (before.standing, before.error_code, before.vendor_error_code)
    is not distinct from (h.standing, h.error_code, h.vendor_error_code)
)
""")
_OLD_SOCKETS: Final = text("delete from station_connection where closed_at < :before")
# The last of each before then says how it stood.
_OLD_STANDINGS: Final = text("""
delete from connector_standing h where h.slot_at < :before and exists (
    select from connector_standing n
    where n.operator_id = h.operator_id and n.station_id = h.station_id
    and n.evse_id = h.evse_id and n.connector_id = h.connector_id
    and n.slot_at > h.slot_at and n.slot_at <= :before
)
""")


async def watch(connections: Connections) -> None:
    """Any number of replicas may: the row's lock lets one of them tell."""
    swept_s = -SWEEP_EVERY_S
    while True:
        await look(connections)
        if time.monotonic() - swept_s > SWEEP_EVERY_S:
            await sweep(connections)
            swept_s = time.monotonic()
        await asyncio.sleep(LOOK_EVERY_S)


async def look(connections: Connections) -> None:
    async with connections.begin(PLATFORM) as db:
        found = await db.execute(_TURNED, {"alive_after": alive_after(clock.now())})
        replicas = [UUID(str(row.replica)) for row in found]
        if not replicas:
            return
        stations = await db.execute(_STATIONS, {"replicas": replicas})
        keys = [news.Key(UUID(str(row.operator_id)), row.station_id, 0) for row in stations]
        news.note(db, keys)
    log.info("%d gateways fell silent or beat again, with %d stations", len(replicas), len(keys))


async def sweep(connections: Connections) -> None:
    now = clock.now()
    async with connections.begin(PLATFORM) as db:
        await db.execute(_CLOSE, {"gone_before": now - GONE_AFTER})
        until = now - SETTLED_AFTER
        await db.execute(_REPEATED, {"since": until - LOOK_BACK, "until": until})
        for old in (_OLD_SOCKETS, _OLD_STANDINGS):
            await db.execute(old, {"before": now - KEPT_FOR})
