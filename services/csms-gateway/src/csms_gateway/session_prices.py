"""By what billing charges a session: told when it begins, kept with its transaction.

Every replica hears it at once, for the station waits for its next answer; what was not heard, or
is forgotten by now, is in the table.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import UUID

import asyncpg
from nats.aio.client import Client
from nats.aio.msg import Msg
from sqlalchemy import DateTime, cast, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.events import SessionPriceSet, StrategyAssignmentChanged, TariffChanged
from common.tariffs import keep_tariff
from csms_gateway.remembering import remember
from csms_gateway.tables import StrategyAssignment, Tariff, Transaction

log = logging.getLogger(__name__)

HEARD_MAX: Final = 50_000  # sessions; some 100 MB
KEPT: Final = "select price from transaction where session_id = $1"


class Heard:
    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._prices: OrderedDict[UUID, SessionPriceSet] = OrderedDict()
        # Called with each new price; must not wait.
        self.on_price: Callable[[SessionPriceSet], None] | None = None

    async def listen(self, client: Client) -> None:
        await client.subscribe(SessionPriceSet.subject, cb=self._hear)

    async def of(self, session_id: UUID) -> SessionPriceSet | None:
        """None: billing has not told it, or not yet."""
        if heard := self._prices.get(session_id):
            return heard
        kept = await self._pool.fetchval(KEPT, session_id)
        if kept is None:
            return None
        price = SessionPriceSet.model_validate_json(kept)
        self._take(price)
        return price

    async def _hear(self, message: Msg) -> None:
        try:
            event = SessionPriceSet.model_validate_json(message.data)
        except ValueError:
            log.exception("a price could not be read")
            return
        if self._take(event) and self.on_price:
            self.on_price(event)

    def _take(self, price: SessionPriceSet) -> bool:
        """Whether it is news."""
        before = self._prices.get(price.session_id)
        if before and before.occurred_at >= price.occurred_at:
            return False
        remember(self._prices, price.session_id, price, HEARD_MAX)
        return True


async def keep_price(db: AsyncSession, event: SessionPriceSet) -> None:
    """With its transaction, which is stored before billing can hear of it."""
    price = Transaction.price
    told_at = cast(price["occurred_at"].astext, DateTime(timezone=True))
    newer = (
        update(Transaction)
        .where(
            Transaction.session_id == event.session_id,
            or_(price.is_(None), told_at < event.occurred_at),
        )
        .values(price=event.model_dump(mode="json"))
    )
    await db.execute(newer)


async def keep_tariffs(db: AsyncSession, event: TariffChanged) -> None:
    """The operator's own, with what they say beyond three prices."""
    await keep_tariff(db, event)
    if event.prices is None or event.agreed_only or not event.lines:
        return
    said = update(Tariff).where(Tariff.tariff_id == event.tariff_id)
    lines = [line.model_dump() for line in event.lines]
    await db.execute(said.values(definition=event.prices.definition, lines=lines))


async def keep_assignment(db: AsyncSession, event: StrategyAssignmentChanged) -> None:
    names = ("version", "holder_kind", "holder_id", "removed")
    new = insert(StrategyAssignment).values(
        assignment_id=event.assignment_id,
        operator_id=event.operator_id,
        **event.model_dump(include=set(names)),
    )
    newer = new.on_conflict_do_update(
        index_elements=["assignment_id"],
        set_={name: new.excluded[name] for name in names},
        where=StrategyAssignment.version < new.excluded.version,
    )
    await db.execute(newer)
