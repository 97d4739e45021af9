"""Sessions whose cost goes on while no reading comes: by a price of time, or a fee for blocking;
and prepaid ones, which are to be stopped before their money is used up.

Only where the station has told of the session as it happened, and not long ago: one that is
delivered hours after it ended costs no more than up to its last reading.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from common.clock import now

# A station's clock is believed if it is off by so much; of a minute more the end would not tell.
LAG: Final = timedelta(minutes=1)
AT_ONCE: Final = timedelta(minutes=5)  # what comes later was kept while the station was offline
# A session that nothing was told of for so long is not over, but nobody knows what it costs.
SILENT: Final = timedelta(days=1)
FOUND_AT_ONCE: Final = 5_000  # sessions a query

BY_TIME: Final = or_(tables.Tariff.time_price > 0, tables.Tariff.definition.has_key("idle_fee"))


def heard(moment: datetime) -> ColumnElement[bool]:
    """Whether the station tells of a session in the same query as it happens."""
    session, sample, state = tables.Session, tables.MeterSample, tables.ChargingState
    since = literal(moment - SILENT)
    read = exists().where(
        sample.session_id == session.id,
        sample.sampled_at > since,
        sample.received_at < sample.sampled_at + AT_ONCE,
    )
    changed = exists().where(
        state.session_id == session.id,
        state.at > since,
        state.received_at < state.at + AT_ONCE,
    )
    return or_(read, changed)


def goes_on(moment: datetime) -> ColumnElement[bool]:
    """Whether a session in the same query, with its tariff, costs more by the minute."""
    return and_(BY_TIME, heard(moment))


def read_at(session: tables.Session, register: tables.Register | None) -> datetime:
    return register.sampled_at if register else session.started_at


def counted_to(
    session: tables.Session, register: tables.Register | None, moment: datetime | None
) -> datetime:
    """Up to when it is rated: what a display shows is never more than what is owed.

    The last reading, since up to now it would be more, for a session that is delivered hours after
    it ended. moment: now, of one that goes on.
    """
    last = read_at(session, register)
    return last if moment is None else max(last, moment - LAG)


async def all_counted_to(
    db: AsyncSession,
    sessions: Sequence[tables.Session],
    registers: Mapping[UUID, tables.Register],
) -> dict[UUID, datetime]:
    """The same of each running one."""
    moment = now()
    query = (
        select(tables.Session.id)
        .join(tables.Tariff, tables.Tariff.id == tables.Session.tariff_id)
        .where(tables.Session.id.in_([one.id for one in sessions]), goes_on(moment))
    )
    going = set(await db.scalars(query)) if sessions else set()
    return {
        one.id: counted_to(one, registers.get(one.id), moment if one.id in going else None)
        for one in sessions
    }


async def going_on(db: AsyncSession, after: UUID | None) -> list[UUID]:
    """Running ones, in the order of their ids, FOUND_AT_ONCE at most."""
    session, hold = tables.Session, tables.Hold
    prepaid = exists().where(hold.session_id == session.id, hold.state == "held")
    query = (
        select(session.id)
        .join(tables.Tariff, tables.Tariff.id == session.tariff_id)
        .where(session.state == "running", or_(BY_TIME, prepaid), heard(now()))
        .order_by(session.id)
        .limit(FOUND_AT_ONCE)
    )
    if after is not None:
        query = query.where(session.id > after)
    return list(await db.scalars(query))
