"""What running sessions cost so far, told to whoever shows it: displays, apps, prepaid.

The handlers mark a session, a loop rates what is marked and tells it over plain NATS. A cost that
is lost is followed by the next one, so nothing is stored and no stream keeps it; each telling is
the whole sum, so repeats and several replicas do no harm.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import rating, records, tables
from billing.meter import assumed_start_wh, keep_readings
from billing.sessions import begin_session, energy_so_far_wh
from common.database import PLATFORM, after_commit
from common.events import MeterValuesReported, SessionCostUpdated, SessionStarted
from common.inbox import Handlers
from common.service import Parts

log = logging.getLogger(__name__)

MARKED_MAX: Final = 100_000  # sessions; some 20 MB
RATED_AT_ONCE: Final = 500  # sessions a query

NOT_MARKED = Counter("csms_billing_costs_not_marked_total", "Sessions too many to be told of")


class RunningCosts:
    """The sessions whose cost is to be told."""

    def __init__(self) -> None:
        self._marked: dict[UUID, None] = {}  # in the order in which they came
        self._some = asyncio.Event()

    def handlers(self) -> Handlers:
        """Of the events after which a session costs something else."""

        async def started(db: AsyncSession, told: SessionStarted) -> None:
            await begin_session(db, told)
            after_commit(db, partial(self.mark, [told.session_id]))

        async def metered(db: AsyncSession, told: MeterValuesReported) -> None:
            await keep_readings(db, told)
            found = {one.session_id for one in told.reports if one.session_id}
            # Marked now, it might be rated before the readings are there to be read.
            after_commit(db, partial(self.mark, found))

        return {SessionStarted: started, MeterValuesReported: metered}

    def mark(self, session_ids: Iterable[UUID]) -> None:
        for session_id in session_ids:
            if len(self._marked) >= MARKED_MAX:
                NOT_MARKED.inc()
                break
            self._marked[session_id] = None
        self._some.set()

    @asynccontextmanager
    async def running(self, parts: Parts) -> AsyncIterator[None]:
        parts.tasks.forever(partial(self._tell, parts), "running costs")
        yield

    async def _tell(self, parts: Parts) -> None:
        while True:
            await self._some.wait()
            await self.tell_marked(parts)
            # The bound: a session is told at most once in this time by each replica.
            await asyncio.sleep(parts.settings.running_cost_every_s)

    async def tell_marked(self, parts: Parts) -> None:
        marked = list(self._marked)
        self._marked.clear()
        self._some.clear()
        for start in range(0, len(marked), RATED_AT_ONCE):
            async with parts.connections.begin(PLATFORM) as db:
                costs = await costs_of(db, marked[start : start + RATED_AT_ONCE])
            for cost in costs:
                await parts.nats.publish(cost.subject, cost.model_dump_json().encode())


async def costs_of(db: AsyncSession, session_ids: list[UUID]) -> list[SessionCostUpdated]:
    """Of those that run and whose cost is known; one that is not known is not told as 0."""
    session, register, tariff = tables.Session, tables.Register, tables.Tariff
    query = (
        select(session, register, tariff, assumed_start_wh())
        .join(tariff, tariff.id == session.tariff_id)
        .outerjoin(register, register.session_id == session.id)
        .where(session.id.in_(session_ids), session.state == "running")
    )
    found = [_cost(*row) for row in (await db.execute(query)).all()]
    return [cost for cost in found if cost]


def _cost(
    session: tables.Session,
    register: tables.Register | None,
    tariff: tables.Tariff,
    assumed_wh: Decimal | None,
) -> SessionCostUpdated | None:
    energy_wh = energy_so_far_wh(session, register, assumed_wh)
    if energy_wh is None:
        return None
    facts = rating.Facts(
        energy_wh=energy_wh,
        duration_s=rating.duration_s(session.started_at, metered_at(session, register)),
        token_accepted=session.token_status == rating.ACCEPTED,
    )
    return SessionCostUpdated(
        operator_id=session.operator_id,
        session_id=session.id,
        station_id=session.station_id,
        total_gross=rating.rate(facts, records.prices_of(tariff)).total.gross,
        currency=tariff.currency,
    )


def metered_at(session: tables.Session, register: tables.Register | None) -> datetime:
    """The moment of the last reading: what a display shows is never more than what is owed.

    Up to now it would be, for a session that is delivered hours after it ended.
    """
    return register.sampled_at if register else session.started_at
