"""Previews are worked on: records are read in pages, each session is priced twice.

No transaction lasts longer than a page, and none of the pricing is done on the event loop.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select, delete, exists, func, select, text, tuple_, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from billing import costs, tables, terms
from billing.discounts import keeping
from billing.discounts.applying import Situation, modifier_of, where_names, who_names
from billing.discounts.finding import offer_of
from billing.discounts.previewing import Amounts, Counters, Rated, Tally, moved
from common.authorize import Holder
from common.clock import EARLIEST, now
from common.database import PLATFORM, Connections
from common.places import names_of

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
PAGE: Final = 200  # sessions a transaction; some 0.1 s of CPU
SESSIONS_MAX: Final = 500_000
KEPT: Final = timedelta(days=30)  # it names users
PRUNE_EVERY: Final = 3600  # seconds

ANYBODY: Final = Situation(who=frozenset(), where=frozenset(), at=EARLIEST, zone=UTC, subject=None)

# Whoever worked on one says so with each page.
TAKE: Final = text("""
update discount_preview set beat_at = now(), sessions_done = 0 where discount_id = (
    select discount_id from discount_preview
    where finished_at is null and (beat_at is null or beat_at < now() - interval '60 seconds')
    order by asked_at limit 1 for update skip locked
) returning discount_id, operator_id, id, ended_from, ended_to
""")


class AskedAnew(Exception):
    """Somebody asked for another one in the meantime; nobody wants this one."""


class TooManySessions(Exception):
    pass


@dataclass
class Run:
    """What is known all along. tariffs: those that were met so far."""

    counters: Counters
    strategy_id: UUID | None
    currency: str | None
    tally: Tally = field(default_factory=Tally)
    tariffs: dict[UUID, tables.Tariff] = field(default_factory=dict)
    not_priced: int = 0


@dataclass(frozen=True)
class Page:
    records: Sequence[tables.Record]
    sessions: Mapping[UUID, tables.Session]
    details: Mapping[UUID, costs.Details]
    names: Mapping[str, frozenset[str]]  # by station, where it is


async def working(connections: Connections) -> None:
    pruned_at = now() - timedelta(seconds=PRUNE_EVERY)
    while True:
        if now() - pruned_at >= timedelta(seconds=PRUNE_EVERY):
            pruned_at = now()
            await prune_once(connections)
        if not await work_once(connections):
            await asyncio.sleep(POLL_S)


async def prune_once(connections: Connections) -> None:
    table = tables.DiscountPreview
    async with connections.begin(PLATFORM) as db:
        await db.execute(delete(table).where(table.asked_at < now() - KEPT))


async def work_once(connections: Connections) -> bool:
    """Take one that waits and finish it; whether there was one."""
    async with connections.begin(PLATFORM) as db:
        taken = (await db.execute(TAKE)).first()
    if taken is None:
        return False
    discount_id, operator_id, preview_id = (UUID(str(one)) for one in taken[:3])
    preview = Preview(connections, operator_id, discount_id, preview_id)
    outcome: dict[str, Any] = {}
    with suppress(AskedAnew):
        try:
            outcome["result"] = await preview.work(taken.ended_from, taken.ended_to)
        except TooManySessions as error:
            outcome["failure"] = f"too many sessions: {error}"
        except (AskedAnew, DBAPIError, OSError):
            raise  # not wanted any more, or taken again in a minute
        except Exception as error:
            log.exception("the preview of %s failed", discount_id)
            outcome["failure"] = f"it broke off ({type(error).__name__}), see the log"
        await preview.note(finished_at=now(), **outcome)
    return True


@dataclass(frozen=True)
class Preview:
    connections: Connections
    operator_id: UUID
    discount_id: UUID
    id: UUID

    async def note(self, **values: Any) -> None:
        """Raises AskedAnew."""
        table = tables.DiscountPreview
        mine = (table.discount_id == self.discount_id, table.id == self.id)
        async with self.connections.begin(self.operator_id) as db:
            noted = update(table).where(*mine).values(beat_at=func.now(), **values)
            if await db.scalar(noted.returning(table.id)) is None:
                raise AskedAnew

    async def work(self, begin: datetime, end: datetime) -> dict[str, Any]:
        """The result, as JSON. Raises AskedAnew."""
        async with self.connections.begin(self.operator_id) as db:
            row = await db.get(tables.Discount, self.discount_id)
            if row is None:
                raise AskedAnew
            zone = ZoneInfo(await keeping.zone_of(db, self.operator_id))
            counted = _records(self.operator_id, begin, end).order_by(None).subquery()
            total = await db.scalar(select(func.count()).select_from(counted)) or 0
        if total > SESSIONS_MAX:
            raise TooManySessions(f"{total}, at most {SESSIONS_MAX}: take a shorter time")
        offer, weeks = moved(offer_of(row), begin, end, zone)
        run = Run(Counters(offer), row.strategy_id, row.currency)
        await self.note(sessions_total=total)
        done, records = 0, _records(self.operator_id, begin, end)
        while page := await self._page(records, run):
            await asyncio.to_thread(_rate, page, run)
            last = page.records[-1]
            records = _records(self.operator_id, begin, end, after=(last.ended_at, last.id))
            done += len(page.records)
            await self.note(sessions_done=done)
        return run.tally.told() | {"moved_weeks": weeks, "not_priced": run.not_priced}

    async def _page(self, records: Select[tables.Record], run: Run) -> Page | None:
        async with self.connections.begin(self.operator_id) as db:
            found = (await db.scalars(records.limit(PAGE))).all()
            if not found:
                return None
            ids = [one.session_id for one in found]
            of_these = select(tables.Session).where(tables.Session.id.in_(ids))
            sessions = {one.id: one for one in await db.scalars(of_these)}
            met = {one.tariff_id for one in found} - run.tariffs.keys()
            for tariff in await db.scalars(select(tables.Tariff).where(tables.Tariff.id.in_(met))):
                run.tariffs[tariff.id] = tariff
            # As if each had the draft: what its price rests on is read where that needs it.
            draft = modifier_of(run.counters.offer, ANYBODY, None)
            details = await costs.details_of(
                db, list(sessions.values()), run.tariffs.values(), [draft]
            )
            names = await _names(db, {one.station_id for one in found})
            return Page(found, sessions, details, names)


def _records(
    operator_id: UUID,
    begin: datetime,
    end: datetime,
    after: tuple[datetime, UUID] | None = None,
) -> Select[tables.Record]:
    """Those that count, in the order in which their sessions ended; after: the last one before."""
    record, cancellation = tables.Record, aliased(tables.Record)
    cancelled = exists().where(
        cancellation.refers_to == record.id, cancellation.kind == "cancellation"
    )
    query = select(record).where(
        record.operator_id == operator_id,
        record.kind != "cancellation",
        record.ended_at >= begin,
        record.ended_at < end,
        ~cancelled,
    )
    if after is not None:
        query = query.where(tuple_(record.ended_at, record.id) > tuple_(*after))
    return query.order_by(record.ended_at, record.id)


async def _names(db: AsyncSession, station_ids: Collection[str]) -> dict[str, frozenset[str]]:
    """Of each station, where it stands and in which groups it is today."""
    station, member = tables.Station, tables.StationGroupMember
    where = select(station.station_id, station.location_id)
    locations: dict[str, UUID | None] = {
        row[0]: row[1] for row in await db.execute(where.where(station.station_id.in_(station_ids)))
    }
    groups: dict[str, list[UUID]] = {}
    of_groups = select(member.station_id, member.group_id)
    for station_id, group_id in await db.execute(
        of_groups.where(member.station_id.in_(station_ids), member.member)
    ):
        groups.setdefault(station_id, []).append(group_id)
    return {
        one: where_names(names_of(one, locations.get(one), groups.get(one, ())))
        for one in station_ids
    }


def _rate(page: Page, run: Run) -> None:
    """All of a page, into the tally."""
    for record in page.records:
        before = Amounts(record.total_net, record.total_gross)
        try:
            change = _change(page, record, run)
        except ValueError:
            run.not_priced += 1
            change = Amounts()
        run.tally.add(
            Rated(
                record.session_id,
                record.station_id,
                record.user_id,
                record.currency,
                before,
                before.plus(change),
            )
        )


def _change(page: Page, record: tables.Record, run: Run) -> Amounts:
    """What the draft would have changed of a record. Raises ValueError: it is never priced."""
    session, tariff = page.sessions[record.session_id], run.tariffs[record.tariff_id]
    details, agreed = page.details[session.id], terms.from_json(record.terms)
    groups = Holder.model_validate(record.holder).user_group_ids if record.holder else ()
    then = Situation(
        who=who_names(record.user_id, groups),
        where=page.names[record.station_id],
        at=record.started_at,
        zone=ZoneInfo(details.time_zone),
        subject=record.user_id or record.card_id,
    )
    if run.strategy_id not in (None, agreed.strategy_id):
        return Amounts()
    if run.currency not in (None, record.currency):
        return Amounts()
    draft = run.counters.modifier(then)
    if draft is None:
        return Amounts()
    told = costs.told(session, record.ended_at, record.energy_wh, details)
    own = tuple(one for one in agreed.modifiers if one.id != run.counters.offer.id)
    without = costs.price(session, tariff, told, replace(agreed, modifiers=own))
    with_it = costs.price(session, tariff, told, replace(agreed, modifiers=(*own, draft)))
    run.counters.count(
        then,
        with_it.used.get(draft.id, Decimal(0)),
        changed=with_it.total.gross != without.total.gross,
    )
    return Amounts(with_it.total.net - without.total.net, with_it.total.gross - without.total.gross)
