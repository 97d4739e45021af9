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
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Identity,
    Table,
    Text,
    Uuid,
    bindparam,
    insert,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from common.database import PLATFORM, Connections, new_metadata
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

# An array, for an IN list of another length is another statement, to be prepared anew.
SEQS = bindparam("seqs", type_=ARRAY(BigInteger))
FORGET = text("delete from outbox where seq = any(:seqs)").bindparams(SEQS)
BURY = text("update outbox set dead_at = now() where seq = any(:seqs)").bindparams(SEQS)


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
    """Send the oldest waiting events; return how many were sent. Replicas skip each other's."""
    async with connections.begin(PLATFORM) as db:
        alive = outbox.c.dead_at.is_(None)
        waiting = select(outbox).where(alive).order_by(outbox.c.seq).limit(BATCH_MAX)
        rows = (await db.execute(waiting.with_for_update(skip_locked=True))).all()
        if not rows:
            return 0
        sending = (_send(stream, row.subject, row.body, str(row.event_id)) for row in rows)
        errors = await asyncio.gather(*sending, return_exceptions=True)
        outcomes = list(zip(rows, errors, strict=True))
        sent = [row.seq for row, error in outcomes if error is None]
        too_large = [row.seq for row, error in outcomes if isinstance(error, MaxPayloadError)]
        await db.execute(FORGET, {"seqs": sent})
        if too_large:
            # It would fail for ever, and everything behind it would wait for it.
            log.error("%s events are larger than NATS takes; kept in the outbox", len(too_large))
            await db.execute(BURY, {"seqs": too_large})
    for _, error in outcomes:
        if error is not None and not isinstance(error, MaxPayloadError):
            raise error
    return len(rows)


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
