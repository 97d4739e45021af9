"""Business records become journals: the customer owes the gross, the operator earned the net."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables, terms
from billing.ledger import findings, holds
from billing.ledger.entries import ZERO, Amount, Entry, Own
from billing.ledger.posting import post
from billing.ledger.sharing import Share, charged, given_back, vat_account
from billing.rating.model import TaxTreatment
from billing.terms import Terms
from common.money import plain

# Nobody is billed: what the session would have cost is on its record alone.
NOT_BILLED: Final = ("free", "none")
# The row of the balance is locked before the shares are reckoned from it.
LOCK: Final = text(
    """
    select b.posted, b.bonus, -(a.credit_limit + a.floor) as lowest
    from balance b join account a on a.id = b.account_id
    where b.account_id = :account
    for no key update of b
    """
)
BOOKED: Final = text(
    """
    select p.purse, j.kind, sum(p.amount) as amount
    from journal j join posting p on p.journal_id = j.id
    where j.record_id = :record and p.account_id = :account
    group by p.purse, j.kind
    """
)


def is_billed(of: Terms) -> bool:
    return of.account_id is not None and of.method not in NOT_BILLED


async def book_record(db: AsyncSession, record: tables.Record) -> UUID | None:
    """Book a record that counts: one that is not under review. The id of the journal; None: it was
    booked before, or nobody is billed.

    record: as it is stored; it need not be an object of the database session. What was held for
    its session is given free.
    """
    of = terms.from_json(record.terms)
    if not is_billed(of):
        return None
    assert of.account_id is not None
    share = await _share(db, record, of, of.account_id)
    entry = Entry(
        event_id=f"record:{record.id}",
        kind="record",
        at=record.ended_at,
        currency=record.currency,
        amounts=(
            Amount(of.account_id, -share.bonus, "bonus"),
            Amount(of.account_id, -share.money),
            *_earned(record, of.tax),
        ),
        memo=f"{record.kind} {record.transaction_id} at {record.station_id}",
        record_id=record.id,
    )
    journal_id = await post(db, record.operator_id, entry)
    if journal_id is not None and share.borne:
        await _bear(db, record, of.account_id, share.borne)
    await holds.end(db, record.operator_id, holds.key_of(record.session_id), "settled")
    return journal_id


def _earned(record: tables.Record, tax: TaxTreatment) -> Iterator[Amount]:
    """Net and VAT, by rate."""
    if record.taxes is None:
        rate = vat_account(record.vat_percent, tax)
        yield Amount(Own("revenue", rate), record.total_net)
        yield Amount(Own("vat", rate), record.vat)
        return
    for one in record.taxes:
        percent = one["vat_percent"]
        rate = vat_account(None if percent is None else Decimal(percent), tax)
        yield Amount(Own("revenue", rate), Decimal(one["net"] or 0))
        yield Amount(Own("vat", rate), Decimal(one["vat"] or 0))


async def _share(db: AsyncSession, record: tables.Record, of: Terms, account_id: UUID) -> Share:
    there = (await db.execute(LOCK, {"account": account_id})).one()
    if record.kind == "cancellation":
        return given_back(await _booked(db, record, account_id))
    lowest: Decimal | None = there.lowest if of.method == "prepaid" else None
    return charged(record.total_gross, posted=there.posted, bonus=there.bonus, lowest=lowest)


async def _booked(db: AsyncSession, record: tables.Record, account_id: UUID) -> Share:
    """What was charged for the record that this one cancels; as its own sums say, if it was not
    booked.
    """
    values = {"record": record.refers_to, "account": account_id}
    found = {(row.purse, row.kind): row.amount for row in await db.execute(BOOKED, values)}
    bonus = -found.get(("bonus", "record"), ZERO)
    return Share(bonus, -record.total_gross - bonus, found.get(("money", "write_off"), ZERO))


async def _bear(db: AsyncSession, record: tables.Record, account_id: UUID, sum_: Decimal) -> None:
    """What is below the floor is the operator's loss."""
    entry = Entry(
        event_id=f"record:{record.id}:floor",
        kind="write_off",
        at=record.ended_at,
        currency=record.currency,
        amounts=(Amount(account_id, sum_), Amount(Own("write_off"), -sum_)),
        memo="what is below the floor of the account",
        record_id=record.id,
    )
    await post(db, record.operator_id, entry)
    if sum_ > 0:
        detail = f"{plain(sum_)} {record.currency} were below the account's floor and are borne"
        await findings.note(
            db,
            record.operator_id,
            "below_floor",
            str(record.id),
            detail,
            account_id=account_id,
            session_id=record.session_id,
        )


async def book_records(db: AsyncSession, record_ids: list[UUID]) -> None:
    """Those of these that count now: a record under review waits for what the review says."""
    query = select(tables.Record).where(
        tables.Record.id.in_(record_ids),
        tables.Record.account_id.is_not(None),
        tables.Record.review != "pending",
    )
    for record in await db.scalars(query.order_by(tables.Record.account_id, tables.Record.id)):
        await book_record(db, record)
