"""Replicas of the gateway: who lives, and what a dead one left open (R4, R5).

Each replica beats into `gateway_replica` and, as an event, to registry. Any replica that lives
closes what a dead one left: its connection rows, with the event that tells of it, and the commands
it had sent and saw no answer to.
"""

import asyncio
import logging
import time
from typing import Final
from uuid import UUID

from common.events import ConnectionReport, ConnectionsReported, GatewayBeat
from csms_gateway.commands import records
from csms_gateway.gateway import Gateway

log = logging.getLogger(__name__)

BEATS_MISSED: Final = 3
PORTION: Final = 500  # rows closed in one transaction: ten thousand would hold locks for seconds

BEAT = """
insert into gateway_replica (replica, last_beat_at) values ($1, now())
on conflict (replica) do update set last_beat_at = now()
"""
LEAVE = "delete from gateway_replica where replica = $1"
DEAD = """
select replica from (
    select replica from connection where closed_at is null
    union select replica from command where state = 'sent' and replica is not null
) as named
where not exists (
    select from gateway_replica as lives
    where lives.replica = named.replica
    and lives.last_beat_at > now() - make_interval(secs => $1)
)
"""
# A dead replica's socket ended somewhere after its last beat.
CLOSE = """
update connection as c set closed_at = greatest(
    c.connected_at,
    coalesce((select last_beat_at from gateway_replica as r where r.replica = c.replica), now())
)
where station_id = any(array(
    select station_id from connection where replica = $1 and closed_at is null
    order by station_id limit $2 for update skip locked
))
returning station_id, operator_id, generation, protocol, closed_at
"""
TELL = """
insert into outbox (event_id, subject, body) values ($1, $2, $3)
"""
FORGET = "delete from gateway_replica where last_beat_at < now() - interval '1 day'"


async def beat(gateway: Gateway) -> None:
    """Live, visibly; and clear away after those who do not."""
    beating_since = time.monotonic()  # a beat that fails begins this anew
    while True:
        await gateway.pool.execute(BEAT, gateway.replica)
        await gateway.publisher.event(GatewayBeat(replica=gateway.replica))
        # After an outage of the database nobody's beat is fresh; the others need time to beat.
        if time.monotonic() - beating_since > BEATS_MISSED * gateway.settings.gateway_beat_s:
            await bury(gateway)
        await asyncio.sleep(gateway.settings.gateway_beat_s)


async def bury(gateway: Gateway) -> None:
    """Close what dead replicas left open."""
    dead_after_s = BEATS_MISSED * gateway.settings.gateway_beat_s
    for row in await gateway.pool.fetch(DEAD, dead_after_s):
        replica = UUID(str(row["replica"]))
        if replica == gateway.replica:
            continue
        log.warning("the gateway %s is dead; closing what it left open", replica)
        while await _close_portion(gateway, replica):
            pass
        await records.abandon(gateway, replica)
    await gateway.pool.execute(FORGET)


async def _close_portion(gateway: Gateway, replica: UUID) -> int:
    """The rows and what is told of them, in one transaction; how many they were."""
    async with gateway.pool.acquire() as db, db.transaction():
        rows = await db.fetch(CLOSE, replica, PORTION)
        reports = tuple(
            ConnectionReport(
                operator_id=UUID(str(row["operator_id"])),
                station_id=row["station_id"],
                generation=row["generation"],
                replica=replica,
                connected=False,
                protocol=row["protocol"],
                at=row["closed_at"],
            )
            for row in rows
        )
        if reports:
            event = ConnectionsReported(reports=reports)
            await db.execute(TELL, event.id, event.subject, event.model_dump_json())
    gateway.parts.connections.emitted.set()
    return len(rows)


async def enter(gateway: Gateway) -> None:
    """Beat once before the first socket, or its row would look like a dead replica's."""
    await gateway.pool.execute(BEAT, gateway.replica)


async def leave(gateway: Gateway) -> None:
    """What is still open now is closed by whoever lives, at once."""
    await gateway.pool.execute(LEAVE, gateway.replica)
