"""Events leave by an outbox: the row commits with the change it tells of, a relay sends it.

The relay is woken by the commit in its own process, not by LISTEN/NOTIFY: a NOTIFY takes a lock
over the whole cluster until its commit is on disk, which ends group commit. What a crashed process
left behind is found by the poll.
"""

import asyncio
import logging
from typing import Any

from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from prometheus_client import Counter
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Row,
    Table,
    Text,
    Uuid,
    insert,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.database import Connections, new_metadata
from common.events import Event

log = logging.getLogger(__name__)

BATCH_MAX = 200
LINGER_S = 0.02  # what commits meanwhile shares five round trips; nobody waits for less
POLL_S = 1.0  # only for rows of a process that died between commit and sending

SENT = Counter("csms_events_sent_total", "Events sent from the outbox", ["subject"])

# Every service has its own copy of this table in its own schema (see database.engine).
metadata = new_metadata()
outbox = Table(
    "outbox",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("event_id", Uuid, nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("dead_at", DateTime(timezone=True)),
)

# Deleted before they are sent, and for good once all have arrived: one round trip less than to
# read and then delete. The order of what a delete returns is not promised. An array, which is made
# once: PostgreSQL may run what stands behind IN anew for each row, and then the limit is none.
TAKE = text(
    "with taken as (delete from outbox where seq = any(array("
    "select seq from outbox where dead_at is null order by seq limit :most for update skip locked"
    ")) returning *) select seq, event_id, subject, body from taken order by seq"
)


async def emit(db: AsyncSession, *events: Event) -> None:
    """Record events in the caller's transaction; they are sent only if that commits."""
    if not events:
        return
    rows: list[dict[str, Any]] = [
        {"event_id": event.id, "subject": event.subject, "body": event.model_dump_json()}
        for event in events
    ]
    await db.execute(insert(outbox), rows)
    db.info["emitted"] = True


async def relay_once(connections: Connections, stream: JetStreamContext) -> int:
    """Send the oldest waiting events; return how many were taken. Replicas skip each other's."""
    async with connections.begin(None) as db:
        rows = (await db.execute(TAKE, {"most": BATCH_MAX})).all()
        if not rows:
            return 0
        sending = (_send(stream, row.subject, row.body, str(row.event_id)) for row in rows)
        errors = await asyncio.gather(*sending, return_exceptions=True)
        unsent = [(row, error) for row, error in zip(rows, errors, strict=True) if error]
        if unsent:
            await db.execute(insert(outbox), [_kept(row, error) for row, error in unsent])
    for _, error in unsent:
        if not isinstance(error, MaxPayloadError):
            raise error
    return len(rows)


def _kept(row: Row[Any], error: BaseException) -> dict[str, Any]:
    too_large = isinstance(error, MaxPayloadError)
    if too_large:
        # It would fail for ever, and everything behind it would wait for it.
        log.error("event %s is larger than NATS takes; kept in the outbox", row.event_id)
    return {**row._mapping, "dead_at": now() if too_large else None}  # noqa: SLF001


async def _send(stream: JetStreamContext, subject: str, body: str, event_id: str) -> None:
    await stream.publish(subject, body.encode(), headers={"Nats-Msg-Id": event_id})
    SENT.labels(subject).inc()


async def relay(connections: Connections, stream: JetStreamContext) -> None:
    while True:
        connections.emitted.clear()
        if await relay_once(connections, stream) == BATCH_MAX:
            continue
        try:
            await asyncio.wait_for(connections.emitted.wait(), POLL_S)
        except TimeoutError:
            continue
        await asyncio.sleep(LINGER_S)
