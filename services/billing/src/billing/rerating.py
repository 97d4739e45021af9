"""Prices records anew by what they rest on: python -m billing.rerating --from 2026-10-01

Terms with what was left of quotas, tariff version and readings are kept with each record, so the
same price must come out. Nothing is changed: what differs is printed, and is put right, if it has
to be, by a correction. Exit status 1: something differs; 2: it was not asked as it can be.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import costs, tables
from billing.settings import Settings
from common.clock import EARLIEST, LATEST
from common.database import PLATFORM, Connections, engine
from common.money import plain
from common.settings import of_command

PAGE: Final = 500  # records a transaction
PROGRESS_EVERY_S: Final = 2.0


class Different(NamedTuple):
    """now None: it cannot be priced any more, and why."""

    record_id: UUID
    currency: str
    before: Decimal
    now: Decimal | None
    why: str = ""


class Asked(NamedTuple):
    """By the end of the session; until is exclusive."""

    since: datetime = EARLIEST
    until: datetime = LATEST
    operator_id: UUID | None = None


class Progress(NamedTuple):
    done: int
    total: int
    different: int


async def rerate(
    connections: Connections, asked: Asked, tell: Callable[[Progress], None]
) -> AsyncIterator[Different]:
    """Those whose price would be another. tell: called after each page."""
    tariffs: dict[UUID, tables.Tariff] = {}
    async with connections.begin(PLATFORM) as db:
        total = await db.scalar(select(func.count()).select_from(_records(asked).subquery())) or 0
    done = different = 0
    after: UUID | None = None
    while True:
        async with connections.begin(PLATFORM) as db:
            # By the primary key: an order by time would sort all that is left for each page.
            query = _records(asked, after).order_by(tables.Record.id).limit(PAGE)
            page = (await db.scalars(query)).all()
            if not page:
                return
            found = await _different(db, page, tariffs)
        for one in found:
            yield one
        done, different = done + len(page), different + len(found)
        after = page[-1].id
        tell(Progress(done, total, different))


def _records(asked: Asked, after: UUID | None = None) -> Select[tables.Record]:
    """A cancellation has no price of its own."""
    record = tables.Record
    query = select(record).where(
        record.kind != "cancellation", record.ended_at >= asked.since, record.ended_at < asked.until
    )
    if asked.operator_id is not None:
        query = query.where(record.operator_id == asked.operator_id)
    return query if after is None else query.where(record.id > after)


async def _different(
    db: AsyncSession, page: Sequence[tables.Record], tariffs: dict[UUID, tables.Tariff]
) -> list[Different]:
    missing = {one.tariff_id for one in page} - tariffs.keys()
    if missing:
        of_these = select(tables.Tariff).where(tables.Tariff.id.in_(missing))
        tariffs |= {row.id: row for row in await db.scalars(of_these)}
    query = select(tables.Session).where(tables.Session.id.in_([one.session_id for one in page]))
    sessions = {row.id: row for row in await db.scalars(query)}
    details = await costs.details_of(db, list(sessions.values()), tariffs.values())
    found = []
    for record in page:
        tariff, of_it = tariffs[record.tariff_id], details[record.session_id]
        told = costs.told(record, record.ended_at, record.energy_wh, of_it)
        try:
            gross = costs.price(record, tariff, told).total.gross
        except ValueError as error:
            found.append(
                Different(record.id, record.currency, record.total_gross, None, str(error))
            )
            continue
        if gross != record.total_gross:
            found.append(Different(record.id, record.currency, record.total_gross, gross))
    return found


class _Printed:
    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def __call__(self, now: Progress) -> None:
        at = time.monotonic()
        if at - self._last < PROGRESS_EVERY_S and now.done < now.total:
            return
        self._last = at
        a_second = now.done / max(at - self._began, 0.001)
        left_s = (now.total - now.done) / max(a_second, 0.001)
        share = now.done * 100 // max(now.total, 1)
        said = f"{now.done} of {now.total} records ({share} %), {a_second:.0f} a second"
        print(f"{said}, {left_s:.0f} s left, {now.different} differ", file=sys.stderr)  # noqa: T201


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="since", type=date.fromisoformat, help="ended on or after")
    parser.add_argument("--to", dest="until", type=date.fromisoformat, help="ended before")
    parser.add_argument("--operator", type=UUID)
    given = parser.parse_args()
    if given.since is not None and given.until is not None and given.since > given.until:
        parser.error(f"--from {given.since} is after --to {given.until}")
    settings = of_command(Settings)
    asked = Asked(_moment(given.since, EARLIEST), _moment(given.until, LATEST), given.operator)
    made = engine(str(settings.database_url), "billing")
    different = 0
    async for one in rerate(Connections(made), asked, _Printed()):
        different += 1
        price = one.why if one.now is None else plain(one.now)
        print(one.record_id, one.currency, plain(one.before), "->", price)  # noqa: T201
    await made.dispose()
    print(f"{different} differ")  # noqa: T201
    return 1 if different else 0


def _moment(day: date | None, default: datetime) -> datetime:
    return default if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
