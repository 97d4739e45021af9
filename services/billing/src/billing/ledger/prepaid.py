"""Prepaid sessions: money is held when one begins, more as it costs more, and when there is no more
its station is told to stop it.

A session is never dropped for want of money: it runs, and is stopped by a command, early enough for
what it may cost until the stop arrives.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final
from uuid import UUID

from nats.errors import Error as NatsError
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import rating, tables, terms
from billing.ledger import findings, holds
from billing.ledger.entries import ZERO
from billing.settings import Settings
from common import bus
from common.clock import now
from common.commanding import SUBJECT, TIMEOUT_S, CommandAnswer, CommandQuestion
from common.database import PLATFORM, Connections
from common.service import Parts

log = logging.getLogger(__name__)

STOPS_AT_ONCE: Final = 100
STOPS_EVERY_S: Final = 0.5
EXPIRED_AT_ONCE: Final = 500
EXPIRED_EVERY_S: Final = 600.0
# A charger may refuse a stop, or a day's deadline may pass: then it is told again, with pauses.
TRIES_MAX: Final = 10
AGAIN_AFTER: Final = timedelta(minutes=5)
DEADLINE_S: Final = 86_400
KEPT_AFRESH: Final = timedelta(hours=1)  # how often a hold that is enough is kept for longer

# A strategy's sums are in its own currency.
ESTIMATE: Final = text(
    "select s.prepaid_estimate from accounting_strategy s join account a "
    "on a.operator_id = s.operator_id and a.currency = s.currency "
    "where s.id = :strategy and a.id = :account"
)
# Of sessions that are told of: what had expired is held again.
FOLLOWED: Final = tables.Hold.state.in_(("held", "expired"))
WANT_STOP: Final = text(
    """
    update hold set stop_wanted_at = coalesce(stop_wanted_at, :at), stop_reason = :reason,
        stop_tries = stop_tries + 1, stop_settled_at = null
    where operator_id = :operator and key = :key and state = 'held'
        and (stop_wanted_at is null or (stop_settled_at < :again and stop_tries < :tries))
    returning account_id
    """
)
STOPS: Final = text(
    """
    select h.operator_id, h.account_id, h.key, h.session_id, h.stop_reason, h.stop_tries,
        s.station_id
    from hold h join session s on s.id = h.session_id
    where h.stop_wanted_at is not null and h.stop_settled_at is null and h.state = 'held'
        and s.state = 'running'
    order by h.stop_wanted_at
    limit :most
    """
)
SETTLED: Final = text(
    "update hold set stop_settled_at = :at where operator_id = :operator and key = :key"
)
EXPIRED: Final = text(
    """
    select h.operator_id, h.account_id, h.key, h.session_id, s.state as session_state
    from hold h left join session s on s.id = h.session_id
    where h.state = 'held' and h.expires_at < :at order by h.expires_at limit :most
    """
)


class Prepaid:
    def __init__(self, settings: Settings) -> None:
        self._step = settings.prepaid_step
        self._kept = timedelta(days=settings.hold_days)
        self._to_stop = asyncio.Event()

    async def begin(self, db: AsyncSession, session: tables.Session) -> None:
        """Of a session that has begun: hold its strategy's estimate, or as much as there is."""
        of = terms.from_json(session.terms)
        if of.method != "prepaid" or of.account_id is None:
            return
        if session.token_status != rating.ACCEPTED:
            return  # it is not to be there, and costs nothing
        values = {"strategy": of.strategy_id, "account": of.account_id}
        estimate = await db.scalar(ESTIMATE, values) if of.strategy_id else None
        held = await holds.begin(
            db,
            session.operator_id,
            of.account_id,
            session.id,
            estimate or self._step,
            now() + self._kept,
        )
        if held is not None and held <= 0:
            await self._began_without(db, session, of.account_id)

    async def _began_without(
        self, db: AsyncSession, session: tables.Session, account_id: UUID
    ) -> None:
        await self._want_stop(
            db, session.operator_id, holds.key_of(session.id), "it began without credit"
        )
        await findings.note(
            db,
            session.operator_id,
            "began_without_credit",
            str(session.id),
            "the session began though its account may not pay for it; its station is told to stop",
            account_id=account_id,
            session_id=session.id,
        )

    async def held_among(self, db: AsyncSession, session_ids: list[UUID]) -> list[UUID]:
        """Which of these sessions something is held for, or was until nothing was heard of them."""
        keys = [holds.key_of(one) for one in session_ids]
        hold = tables.Hold
        query = select(hold.session_id).where(hold.key.in_(keys), FOLLOWED)
        return [one for one in await db.scalars(query) if one is not None]

    async def follow(self, connections: Connections, worst: Mapping[UUID, Decimal]) -> None:
        """worst: what each session may cost by the time that a stop told now arrives."""
        if not worst:
            return
        async with connections.begin(PLATFORM) as db:
            query = select(tables.Hold).where(tables.Hold.session_id.in_(worst), FOLLOWED)
            found = (await db.scalars(query.order_by(tables.Hold.account_id))).all()
        for hold in found:
            assert hold.session_id is not None
            held = hold.amount if hold.state == "held" else ZERO
            enough = worst[hold.session_id] < held
            if enough and hold.expires_at > now() + self._kept - KEPT_AFRESH:
                continue
            # A transaction each: they lock accounts that others wait for.
            async with connections.begin(hold.operator_id) as db:
                if hold.state == "expired":
                    await holds.revive(db, hold.operator_id, hold.key, now() + self._kept)
                if enough:  # its station tells of it, so it goes on being held
                    await self._extend(db, hold, hold.amount)
                else:
                    await self._need(db, hold, worst[hold.session_id])

    async def _need(self, db: AsyncSession, hold: tables.Hold, worst: Decimal) -> None:
        held = await self._extend(db, hold, worst + self._step)
        if held is not None and held <= worst:
            await self._want_stop(db, hold.operator_id, hold.key, "its credit is used up")

    async def _extend(self, db: AsyncSession, hold: tables.Hold, upto: Decimal) -> Decimal | None:
        return await holds.extend(db, hold.operator_id, hold.key, upto, now() + self._kept)

    async def _want_stop(self, db: AsyncSession, operator_id: UUID, key: str, reason: str) -> None:
        at = now()
        values = {
            "operator": operator_id,
            "key": key,
            "at": at,
            "reason": reason,
            "again": at - AGAIN_AFTER,
            "tries": TRIES_MAX,
        }
        await db.execute(WANT_STOP, values)
        self._to_stop.set()  # found by the next look if this is not committed yet

    @asynccontextmanager
    async def running(self, parts: Parts) -> AsyncIterator[None]:
        parts.tasks.forever(partial(self._stop, parts), "prepaid stops")
        parts.tasks.forever(partial(self._expire, parts), "expired holds")
        yield

    async def _stop(self, parts: Parts) -> None:
        while True:
            await self.stop_once(parts)
            self._to_stop.clear()
            with_pause = asyncio.wait_for(self._to_stop.wait(), STOPS_EVERY_S)
            try:
                await with_pause
            except TimeoutError:
                continue

    async def stop_once(self, parts: Parts) -> None:
        """Tell the stations of what is to be stopped; what nobody answers is told again."""
        async with parts.connections.begin(PLATFORM) as db:
            wanted = (await db.execute(STOPS, {"most": STOPS_AT_ONCE})).all()
        for row in wanted:
            question = CommandQuestion(
                operator_id=row.operator_id,
                station_id=row.station_id,
                command={"type": "remote_stop", "session_id": str(row.session_id)},
                idempotency_key=f"prepaid:{row.session_id}:{row.stop_tries}",
                requested_by=f"billing: {row.stop_reason}",
                deadline_s=DEADLINE_S,
            )
            try:
                body = await bus.ask(parts.nats, SUBJECT, question, TIMEOUT_S)
            except (NatsError, TimeoutError) as error:
                log.warning("no gateway took the stop of %s: %r", row.session_id, error)
                return
            async with parts.connections.begin(row.operator_id) as db:
                await self._answered(db, row, CommandAnswer.model_validate_json(body))

    async def _answered(self, db: AsyncSession, row: Any, answer: CommandAnswer) -> None:
        await db.execute(SETTLED, {"at": now(), "operator": row.operator_id, "key": row.key})
        if answer.refused is None or answer.refused.status == 409:
            return  # 409: it has ended meanwhile
        await findings.note(
            db,
            row.operator_id,
            "stop_refused",
            str(row.session_id),
            f"{row.station_id} cannot be told to stop: {answer.refused.detail}",
            account_id=row.account_id,
            session_id=row.session_id,
        )

    async def _expire(self, parts: Parts) -> None:
        while True:
            await expire_once(parts.connections)
            await asyncio.sleep(EXPIRED_EVERY_S)


async def expire_once(connections: Connections) -> None:
    """Give free what was held for sessions that nobody has heard of for days, and say so."""
    at = now()
    async with connections.begin(PLATFORM) as db:
        found = (await db.execute(EXPIRED, {"at": at, "most": EXPIRED_AT_ONCE})).all()
    for row in found:
        async with connections.begin(row.operator_id) as db:
            freed = await holds.end(db, row.operator_id, row.key, "expired", overdue_at=at)
            if freed is None or row.session_id is None:
                continue
            await findings.note(
                db,
                row.operator_id,
                "hold_expired",
                row.key,
                f"{freed} were held for a session "
                + ("under review" if row.session_state == "ended" else "of which nothing is heard"),
                account_id=row.account_id,
                session_id=row.session_id,
            )
