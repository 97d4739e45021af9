"""Whether the ledger is right: each night, and by hand: python -m billing.ledger.check

Balances are the sums of their postings, what is held the sum of the holds, journals sum to zero,
and each record that counts has its journal. What differs is kept as a finding, counted, and logged;
a finding that is not found again is marked as resolved. Nothing is mended here: a ledger that
mends itself hides what broke it.
"""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Final, NamedTuple, get_args
from uuid import UUID

from prometheus_client import Gauge
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.ledger import findings, standing
from billing.ledger.findings import Difference
from billing.ledger.recording import NOT_BILLED
from billing.settings import Settings
from common.clock import now
from common.database import PLATFORM, Connections, engine
from common.service import Parts
from common.settings import of_command

log = logging.getLogger(__name__)

AT: Final = time(2, 30, tzinfo=UTC)  # when few charge
SHOWN_MAX: Final = 1000  # differences of a kind; beyond that something is broken altogether
# One that was closed a moment ago may be booked by a transaction that is not over.
SETTLED_AFTER: Final = timedelta(minutes=10)
ACCOUNTS_AT_ONCE: Final = 1000

DIFFERENCES: Final = Gauge(
    "csms_billing_ledger_differences", "Differences that the last check found", ["kind"]
)

# Each is one statement, so that it sees one moment.
BALANCES: Final = """
select a.operator_id, a.id::text as subject, a.id as account_id,
    format('posted %s, bonus %s; its postings are %s and %s', b.posted, b.bonus,
        coalesce(p.money, 0), coalesce(p.bonus, 0)) as detail
from account a
left join balance b on b.account_id = a.id
left join (
    select account_id, sum(amount) filter (where purse = 'money') as money,
        sum(amount) filter (where purse = 'bonus') as bonus
    from posting group by account_id
) p on p.account_id = a.id
where a.kind = 'customer' and (b.account_id is null or b.posted <> coalesce(p.money, 0)
    or b.bonus <> coalesce(p.bonus, 0))
limit :most
"""
HELD: Final = """
select b.operator_id, b.account_id::text as subject, b.account_id,
    format('held %s; its holds are %s', b.held, coalesce(h.amount, 0)) as detail
from balance b
left join (
    select account_id, sum(amount) as amount from hold where state = 'held' group by account_id
) h on h.account_id = b.account_id
where b.held <> coalesce(h.amount, 0)
limit :most
"""
JOURNALS: Final = """
select j.operator_id, j.id::text as subject, cast(null as uuid) as account_id,
    format('it has %s of %s postings and is off by %s', coalesce(p.n, 0), j.postings, p.off)
        as detail
from journal j
left join (
    select journal_id, sum(n) as n, max(abs(amount)) as off
    from (
        select journal_id, currency, count(*) as n, sum(amount) as amount
        from posting group by journal_id, currency
    ) c
    group by journal_id
) p on p.journal_id = j.id
where coalesce(p.n, 0) <> j.postings or p.off <> 0
limit :most
"""
ONE_STATEMENT: Final[dict[Difference, str]] = {
    "balance_differs": BALANCES,
    "held_differs": HELD,
    "journal_unbalanced": JOURNALS,
}


class Found(NamedTuple):
    operator_id: UUID
    kind: Difference
    subject: str
    account_id: UUID | None
    detail: str


async def check(connections: Connections) -> list[Found]:
    """What differs; kept, counted and logged."""
    async with connections.begin(PLATFORM) as db:
        found = [one async for one in _differences(db)]
        for one in found:
            await findings.note(
                db, one.operator_id, one.kind, one.subject, one.detail, account_id=one.account_id
            )
        await _resolve(db)
    counted = Counter(one.kind for one in found)
    for kind in get_args(Difference):
        DIFFERENCES.labels(kind).set(counted[kind])
        if counted[kind]:
            log.error("the ledger: %s, %d times", kind, counted[kind])
    return found


async def _differences(db: AsyncSession) -> AsyncIterator[Found]:
    for kind, statement in ONE_STATEMENT.items():
        for row in await db.execute(text(statement), {"most": SHOWN_MAX}):
            yield Found(row.operator_id, kind, row.subject, row.account_id, row.detail)
    record, journal = tables.Record, tables.Journal
    booked = select(journal.id).where(
        journal.operator_id == record.operator_id, journal.record_id == record.id
    )
    query = select(record).where(
        record.account_id.is_not(None),
        record.terms["method"].astext.not_in(NOT_BILLED),
        record.review != "pending",
        record.closed_at < now() - SETTLED_AFTER,
        ~booked.exists(),
    )
    for one in await db.scalars(query.limit(SHOWN_MAX)):
        detail = f"a record of {one.total_gross} {one.currency} that counts has no journal"
        yield Found(one.operator_id, "record_not_booked", str(one.id), one.account_id, detail)


async def _resolve(db: AsyncSession) -> None:
    """What was not seen in this transaction, whose one moment now() of the database is."""
    table = tables.LedgerFinding
    gone = update(table).where(
        table.kind.in_(get_args(Difference)),
        table.resolved_at.is_(None),
        table.seen_at < func.now(),
    )
    await db.execute(gone.values(resolved_at=func.now()))


async def tell_standings(connections: Connections) -> None:
    """Tell of accounts whose standing is another than was told; there should be none."""
    last: UUID | None = None
    while True:
        async with connections.begin(PLATFORM) as db:
            account = tables.Account
            query = select(account.id, account.operator_id).where(account.kind == "customer")
            if last is not None:
                query = query.where(account.id > last)
            rows = (await db.execute(query.order_by(account.id).limit(ACCOUNTS_AT_ONCE))).all()
            for row in rows:
                standing.touched(db, row.operator_id, row.id)
        if len(rows) < ACCOUNTS_AT_ONCE:
            return
        last = rows[-1].id


@asynccontextmanager
async def nightly(parts: Parts) -> AsyncIterator[None]:
    parts.tasks.forever(partial(_every_night, parts.connections), "ledger check")
    yield


async def _every_night(connections: Connections) -> None:
    while True:
        await asyncio.sleep(until_night(now()).total_seconds())
        await check(connections)
        await tell_standings(connections)


def until_night(at: datetime) -> timedelta:
    tonight = datetime.combine(at.astimezone(UTC).date(), AT)
    return tonight - at if tonight > at else tonight + timedelta(days=1) - at


async def main() -> int:
    made = engine(str(of_command(Settings).database_url), "billing")
    found = await check(Connections(made))
    await made.dispose()
    for one in found:
        print(one.kind, one.operator_id, one.subject, one.detail)  # noqa: T201 - a command's answer
    print(f"{len(found)} differences")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
