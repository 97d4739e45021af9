"""Events arrive by an inbox: a handler and the note that it ran commit together.

A batch is one transaction. If a handler fails, all of the batch run once more with a savepoint
each, so that one bad event costs only itself. An event whose handler failed ATTEMPTS_MAX times is
dead: kept, visible, replayable.
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from prometheus_client import Counter
from pydantic import ValidationError
from sqlalchemy import (
    ARRAY,
    Column,
    DateTime,
    Integer,
    Table,
    Text,
    Uuid,
    bindparam,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from common.database import (
    PLATFORM,
    Connections,
    Operator,
    collided,
    set_operator,
    undone_on_failure,
)
from common.events import Event
from common.outbox import metadata

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 5

HANDLED = Counter("csms_events_handled_total", "Events handled", ["subject"])
FAILED = Counter("csms_events_failed_total", "Handler failures", ["subject"])

Handler = Callable[[AsyncSession, Any], Awaitable[None]]
Handlers = Mapping[type[Event], Handler]

inbox = Table(
    "inbox",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column(
        "handled_at", DateTime(timezone=True), server_default=func.now(), nullable=False, index=True
    ),
)
failed_event = Table(
    "failed_event",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("failed_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("dead_at", DateTime(timezone=True)),
)


async def handle(
    connections: Connections, handlers: Handlers, received: Sequence[tuple[str, bytes]]
) -> list[bool]:
    """Handle a batch of (subject, body), each event id once.

    Returns per message whether it is settled (handled, a repeat, or dead) or to be sent again.
    Raises if the database cannot be reached: then nothing was done.
    """
    by_subject = {event.subject: (event, handler) for event, handler in handlers.items()}
    try:
        # Savepoints would be two more round trips an event, and hardly any handler ever fails.
        async with connections.begin(None) as db:
            work = await _work(db, by_subject, received)
            await _run_together(db, [(handler, event) for _, handler, event in work])
    except Exception as error:
        if collided(error):
            raise  # with another replica, not with an event: the whole batch comes again
        log.info("a batch of %d failed (%s); each is handled alone", len(received), error)
    else:
        for _, _, event in work:
            HANDLED.labels(event.subject).inc()
        return [True] * len(received)
    settled = [True] * len(received)
    async with connections.begin(None) as db:
        for place, handler, event in await _work(db, by_subject, received):
            failure = await _run(db, handler, event)
            if failure is not None:
                subject, body = received[place]
                settled[place] = await _failed(db, event.id, subject, body, failure)
    return settled


async def _work(
    db: AsyncSession,
    by_subject: Mapping[str, tuple[type[Event], Handler]],
    received: Sequence[tuple[str, bytes]],
) -> list[tuple[int, Handler, Event]]:
    """What was not handled before, claimed, by its place in received."""
    parsed = [await _parse(db, by_subject[subject][0], subject, body) for subject, body in received]
    fresh = await _claim(db, [event.id for event in parsed if event])
    work: list[tuple[int, Handler, Event]] = []
    for place, (event, (subject, _)) in enumerate(zip(parsed, received, strict=True)):
        if event is not None and event.id in fresh:
            fresh.discard(event.id)
            work.append((place, by_subject[subject][1], event))
    return work


async def _parse(db: AsyncSession, kind: type[Event], subject: str, body: bytes) -> Event | None:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        # It will never parse: straight to the dead, under an id made from its content.
        log.error("an event on %s does not parse: %s", subject, error)  # noqa: TRY400
        digest = UUID(bytes=hashlib.sha256(subject.encode() + body).digest()[:16])
        await _keep(db, digest, subject, body, error, attempts=ATTEMPTS_MAX)
        return None


# One array: a VALUES list of another length is another statement, to be prepared anew.
CLAIM = text(
    "insert into inbox (event_id) select unnest(cast(:ids as uuid[])) "
    "on conflict do nothing returning event_id"
).bindparams(bindparam("ids", type_=ARRAY(Uuid)))


async def _claim(db: AsyncSession, ids: Iterable[UUID]) -> set[UUID]:
    distinct = list(dict.fromkeys(ids))
    if not distinct:
        return set()
    claimed = await db.scalars(CLAIM, {"ids": distinct})
    return {UUID(str(event_id)) for event_id in claimed}


async def _run_together(db: AsyncSession, work: Sequence[tuple[Handler, Event]]) -> None:
    operator: Operator | None = None
    for handler, event in work:
        wanted: Operator = event.operator_id or PLATFORM
        if wanted != operator:
            await set_operator(db, wanted)
            operator = wanted
        await handler(db, event)


async def _run(db: AsyncSession, handler: Handler, event: Event) -> Exception | None:
    try:
        async with undone_on_failure(db):
            await set_operator(db, event.operator_id or PLATFORM)
            await handler(db, event)
    except Exception as error:
        if collided(error):
            raise
        FAILED.labels(event.subject).inc()
        log.exception("handling %s %s failed", event.subject, event.id)
        return error
    HANDLED.labels(event.subject).inc()
    return None


async def _failed(
    db: AsyncSession, event_id: UUID, subject: str, body: bytes, error: Exception
) -> bool:
    """Note the failure and give the claim back; return whether the event is dead."""
    attempts = await _keep(db, event_id, subject, body, error, attempts=1)
    if attempts >= ATTEMPTS_MAX:
        return True
    await db.execute(delete(inbox).where(inbox.c.event_id == event_id))
    return False


async def _keep(
    db: AsyncSession, event_id: UUID, subject: str, body: bytes, error: Exception, *, attempts: int
) -> int:
    values = {
        "event_id": event_id,
        "subject": subject,
        "body": body.decode(errors="replace").replace("\0", "\\0"),
        "attempts": attempts,
        "error": f"{type(error).__name__}: {error}"[:2000],
    }
    new = upsert(failed_event).values(values)
    counted = new.on_conflict_do_update(
        index_elements=["event_id"],
        set_={
            "attempts": failed_event.c.attempts + 1,
            "error": new.excluded.error,
            "failed_at": func.now(),
        },
    )
    total: int = (await db.execute(counted.returning(failed_event.c.attempts))).scalar_one()
    if total >= ATTEMPTS_MAX:
        dead = failed_event.update().where(failed_event.c.event_id == event_id)
        await db.execute(dead.values(dead_at=func.now()))
    return total


async def replay(connections: Connections, handlers: Handlers) -> tuple[int, int]:
    """Handle the dead once more; return (how many worked, how many are still dead)."""
    async with connections.begin(PLATFORM) as db:
        dead = (
            await db.execute(select(failed_event).where(failed_event.c.dead_at.is_not(None)))
        ).all()
        await db.execute(delete(inbox).where(inbox.c.event_id.in_([row.event_id for row in dead])))
    worked = 0
    for row in dead:
        await handle(connections, handlers, [(row.subject, row.body.encode())])
        async with connections.begin(PLATFORM) as db:
            done = await db.scalar(select(inbox.c.event_id).where(inbox.c.event_id == row.event_id))
            still = await db.scalar(
                select(failed_event.c.attempts).where(failed_event.c.event_id == row.event_id)
            )
            if done is not None and still == row.attempts:
                worked += 1
                await db.execute(
                    delete(failed_event).where(failed_event.c.event_id == row.event_id)
                )
    return worked, len(dead) - worked


async def prune(connections: Connections, keep_days: int) -> None:
    """Forget ids older than the stream keeps events; they cannot come again."""
    async with connections.begin(PLATFORM) as db:
        await db.execute(
            text("delete from inbox where handled_at < now() - make_interval(days => :days)"),
            {"days": keep_days},
        )
        # Those that failed and then worked.
        await db.execute(
            text(
                "delete from failed_event f where dead_at is null and "
                "exists (select from inbox i where i.event_id = f.event_id)"
            )
        )
