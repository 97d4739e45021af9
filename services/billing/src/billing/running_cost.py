"""What running sessions cost so far, told to whoever shows it: displays, apps, prepaid.

The handlers mark a session, a loop rates what is marked and tells it over plain NATS. A cost that
is lost is followed by the next one, so nothing is stored and no stream keeps it; each telling is
the whole sum, so repeats and several replicas do no harm.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy import and_, false, func, not_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from billing import cost_clock, costs, tables
from billing.charging_states import keep_states
from billing.discounts import quotas
from billing.ledger.prepaid import Prepaid
from billing.meter import assumed_start_wh, keep_readings
from billing.sessions import begin_session, cost_so_far, energy_so_far_wh, whole
from billing.settings import Settings
from billing.terms import Terms
from common.clock import now
from common.database import PLATFORM, after_commit
from common.events import (
    ChargingStatesReported,
    MeterValuesReported,
    SessionCostUpdated,
    SessionStarted,
)
from common.inbox import Handlers
from common.service import Parts

log = logging.getLogger(__name__)

MARKED_MAX: Final = 100_000  # sessions; some 20 MB
RATED_AT_ONCE: Final = 500  # sessions a query

NOT_MARKED = Counter("csms_billing_costs_not_marked_total", "Sessions too many to be told of")


class RunningCosts:
    """The sessions whose cost is to be told."""

    def __init__(self, prepaid: Prepaid) -> None:
        self._prepaid = prepaid
        self._marked: dict[UUID, None] = {}  # in the order in which they came
        self._some = asyncio.Event()

    def handlers(self) -> Handlers:
        """Of the events after which a session costs something else."""

        async def started(db: AsyncSession, told: SessionStarted) -> None:
            if (session := await begin_session(db, told)) is not None:
                await self._prepaid.begin(db, session)
            after_commit(db, partial(self.mark, [told.session_id]))

        async def metered(db: AsyncSession, told: MeterValuesReported) -> None:
            await keep_readings(db, told)
            found = {one.session_id for one in told.reports if one.session_id}
            # Marked now, it might be rated before the readings are there to be read.
            after_commit(db, partial(self.mark, found))

        async def changed(db: AsyncSession, told: ChargingStatesReported) -> None:
            await keep_states(db, told)
            after_commit(db, partial(self.mark, {one.session_id for one in told.reports}))

        return {
            SessionStarted: started,
            MeterValuesReported: metered,
            ChargingStatesReported: changed,
        }

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
        parts.tasks.forever(partial(self._by_the_clock, parts), "costs by the clock")
        yield

    async def _tell(self, parts: Parts) -> None:
        while True:
            await self._some.wait()
            await self.tell_marked(parts)
            # The bound: a session is told at most once in this time by each replica.
            await asyncio.sleep(parts.settings.running_cost_every_s)

    async def _by_the_clock(self, parts: Parts) -> None:
        while True:
            await asyncio.sleep(parts.settings.cost_clock_s)
            await self.mark_going_on(parts)

    async def mark_going_on(self, parts: Parts) -> None:
        """Those that cost more by now though nothing was told of them."""
        after: UUID | None = None
        while len(self._marked) < MARKED_MAX:
            async with parts.connections.begin(PLATFORM) as db:
                found = await cost_clock.going_on(db, after)
            if not found:
                return
            self.mark(found)
            after = found[-1]

    async def tell_marked(self, parts: Parts) -> None:
        marked = list(self._marked)
        self._marked.clear()
        self._some.clear()
        for start in range(0, len(marked), RATED_AT_ONCE):
            try:
                await self._tell_some(parts, marked[start : start + RATED_AT_ONCE])
            except Exception:
                self.mark(marked[start:])  # not forgotten: perhaps they must be stopped
                raise

    async def _tell_some(self, parts: Parts, some: list[UUID]) -> None:
        async with parts.connections.begin(PLATFORM) as db:
            costs = await costs_of(db, some)
            worst = await self._worst(db, parts.settings, some)
        for cost in costs:
            await parts.nats.publish(cost.subject, cost.model_dump_json().encode())
        await self._prepaid.follow(parts.connections, worst)

    async def _worst(
        self, db: AsyncSession, settings: Settings, session_ids: list[UUID]
    ) -> dict[UUID, Decimal]:
        """What prepaid ones may cost by the time that a stop arrives."""
        held = await self._prepaid.held_among(db, session_ids)
        if not held:
            return {}
        ahead = Ahead(settings.prepaid_latency_s, settings.prepaid_power_w)
        return {one.session_id: one.total_gross for one in await costs_of(db, held, ahead)}


# Whatever it is held for longer stays held; and one that tells nothing for longer may be paused.
UNREAD_MAX: Final = timedelta(minutes=5)
# The last that is known of it: its car takes no power, whoever is the cause.
_PAUSED: Final = (
    select(tables.ChargingState.state != "charging")
    .where(tables.ChargingState.session_id == tables.Session.id)
    .order_by(tables.ChargingState.at.desc())
    .limit(1)
    .correlate(tables.Session)
    .scalar_subquery()
)


class Ahead(NamedTuple):
    """A look into the future: since the last reading and so much later, with all the power that
    the EVSE has.
    """

    s: int = 0
    power_w: int = 0  # where it is not known what the EVSE has


NOT_AHEAD: Final = Ahead()


async def costs_of(
    db: AsyncSession, session_ids: list[UUID], ahead: Ahead = NOT_AHEAD
) -> list[SessionCostUpdated]:
    """Of those that run and whose cost is known; one that is not known is not told as 0."""
    session, register, tariff = tables.Session, tables.Register, tables.Tariff
    station, moment = tables.Station, now()
    goes_on = cost_clock.goes_on(moment)
    unread = and_(cost_clock.heard(moment), func.coalesce(not_(_PAUSED), true()))
    query = (
        select(
            session,
            register,
            tariff,
            assumed_start_wh(),
            station.power_w,
            goes_on,
            unread if ahead.s else false(),
        )
        .join(tariff, tariff.id == session.tariff_id)
        .outerjoin(register, register.session_id == session.id)
        .outerjoin(station, station.station_id == session.station_id)
        .where(session.id.in_(session_ids), session.state == "running")
    )
    rows = (await db.execute(query)).all()
    tariffs = {row[2].id: row[2] for row in rows}
    details = await costs.details_of(db, [row[0] for row in rows], tariffs.values())
    found = [
        _cost(
            *row[:5],
            details[row[0].id],
            cost_clock.counted_to(row[0], row[1], moment if row[5] else None),
            ahead,
            _unread_s(row[0], row[1], moment) if row[6] else 0,
            await quotas.as_left(db, row[0]),
        )
        for row in rows
    ]
    return [cost for cost in found if cost]


def _cost(
    session: tables.Session,
    register: tables.Register | None,
    tariff: tables.Tariff,
    assumed_wh: Decimal | None,
    power_w: dict[str, int | None] | None,
    details: costs.Details,
    to: datetime,
    ahead: Ahead,
    unread_s: int,
    agreed: Terms,
) -> SessionCostUpdated | None:
    energy_wh = energy_so_far_wh(session, register, assumed_wh)
    if energy_wh is None:
        return None
    power = (power_w or {}).get(str(session.evse_id)) or ahead.power_w
    gross = cost_so_far(
        session,
        tariff,
        energy_wh + power * (unread_s + ahead.s) // 3600,
        max(to, cost_clock.read_at(session, register) + timedelta(seconds=unread_s))
        + timedelta(seconds=ahead.s),
        details,
        agreed,
    )
    if gross is None:
        return None
    return SessionCostUpdated(
        operator_id=session.operator_id,
        session_id=session.id,
        station_id=session.station_id,
        total_gross=gross,
        currency=tariff.currency,
        as_of=to,
        register_wh=_register_wh(session, register, assumed_wh),
    )


def _unread_s(session: tables.Session, register: tables.Register | None, moment: datetime) -> int:
    """For how long it may have charged by now beyond its last reading."""
    since = moment - cost_clock.LAG - cost_clock.read_at(session, register)
    return int(min(max(since, timedelta()), UNREAD_MAX).total_seconds())


def _register_wh(
    session: tables.Session, register: tables.Register | None, assumed_wh: Decimal | None
) -> int | None:
    """The register that the energy so far rests on."""
    if register is not None:
        return whole(register.value_wh)
    if session.meter_start_wh is None and assumed_wh is not None:
        return whole(assumed_wh)
    return session.meter_start_wh
