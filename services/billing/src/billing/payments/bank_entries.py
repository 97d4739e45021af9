"""Transfers that bank statements told of: what staff make of those that name no account."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.payments import booking
from billing.payments.amounts import MoneyIn, customer_account, of_every_location
from billing.payments.bank_statements import credit
from billing.payments.refunds import MoreThanWasPaid, left_of
from billing.payments.topups import in_turn
from common import paging
from common.auth import Caller, scoped
from common.clock import now
from common.database import Db
from common.fields import Body, Line
from common.money import Money
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem

router = APIRouter(prefix="/v1/bank-entries", tags=["payments"])

reads = scoped("payments:read")
writes = scoped("payments:write")

State = Literal["matched", "unmatched", "dismissed"]


class EntryDecided(Problem):
    status = 409
    title = "This transfer is credited or dismissed already"


class TakenBack(Problem):
    """Name the top-up that it was credited by, as topup_id; if there is none, dismiss it."""

    status = 409
    title = "The bank has taken this transfer back"


class NotTakenBack(Problem):
    """Only what the bank has taken back names a top-up."""

    status = 422
    title = "This transfer came in"


class UnknownTransfer(Problem):
    status = 422
    title = "The account has no such top-up by transfer"


class BankEntryOut(BaseModel):
    id: UUID
    operator_id: UUID
    statement_id: UUID
    booked_on: date
    amount: Money = Field(description="below zero: the bank has taken a transfer back")
    bank_reference: str | None
    end_to_end_id: str | None
    debtor_name: str | None
    debtor_iban: str | None
    remittance: str = Field(description="what the payer wrote")
    state: State
    why: str | None = Field(description="it is not credited, or was dismissed")
    topup_id: UUID | None
    decided_by: str | None = Field(description="null: credited by its reference")
    decided_at: AwareDatetime | None


class AssignIn(Body):
    account_id: UUID
    topup_id: UUID | None = Field(
        default=None,
        description="the account's top-up that is taken back, if the amount is below zero",
    )
    reason: Line


class DismissIn(Body):
    reason: Line


async def _outs(db: AsyncSession, rows: Sequence[tables.BankEntry]) -> list[BankEntryOut]:
    """A top-up has one entry that it came in by; what was taken back of it are its chargebacks,
    with the ids of their entries.
    """
    table = tables.Chargeback
    negative = [row.id for row in rows if row.amount < 0]
    query = select(table.id, table.topup_id).where(table.id.in_(negative))
    back = {row.id: row.topup_id for row in await db.execute(query)} if negative else {}
    found = []
    for row in rows:
        fields = {name: getattr(row, name) for name in BankEntryOut.model_fields}
        fields["amount"] = Money(amount=row.amount, currency=row.currency)
        fields["topup_id"] = back.get(row.id, row.topup_id)
        found.append(BankEntryOut(**fields))
    return found


async def _out(db: AsyncSession, row: tables.BankEntry) -> BankEntryOut:
    return (await _outs(db, [row]))[0]


@router.get("", summary="List transfers of bank statements", dependencies=[reads])
async def list_bank_entries(
    db: Db,
    caller: Caller,
    state: State | None = None,
    statement_id: UUID | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[BankEntryOut]:
    table = tables.BankEntry
    wanted = {
        table.operator_id: caller.operator_id,
        table.state: state,
        table.statement_id: statement_id,
    }
    query = select(table).where(*paging.given(wanted))
    found, after = await paging.rows(db, query, table.id, limit=limit, cursor=cursor)
    return Page(items=await _outs(db, found), next_cursor=after)


@router.get("/{entry_id}", summary="Read a transfer", dependencies=[reads])
async def read_bank_entry(entry_id: UUID, db: Db) -> BankEntryOut:
    return await _out(db, await _get(db, entry_id))


@router.post("/{entry_id}/assign", summary="Credit a transfer to an account", dependencies=[writes])
async def assign_bank_entry(entry_id: UUID, body: AssignIn, db: Db, caller: Caller) -> BankEntryOut:
    """Once: a transfer has one account, so this needs no Idempotency-Key. One that staff have
    booked by hand (same account and amount, at most three days apart) is linked with that.

    One that the bank has taken back names the top-up, and is booked as a chargeback of it: below
    zero if it was spent, and the account is blocked.
    """
    of_every_location(caller)
    await in_turn(db, (await _get(db, entry_id)).operator_id)
    row = await _get(db, entry_id, lock=True)
    if row.amount <= 0 and body.topup_id is None:
        raise TakenBack("name the top-up that it was credited by; if there is none, dismiss it")
    if row.amount >= 0 and body.topup_id is not None:
        raise NotTakenBack("name the account alone; a new top-up is made")
    before = await _out(db, row)
    if before.topup_id is not None:
        topup = await db.get_one(tables.Topup, before.topup_id)
        if topup.account_id == body.account_id and body.topup_id in (None, topup.id):
            return before
    _check_undecided(before)
    row.state, row.why, row.decided_by, row.decided_at = "matched", None, caller.sub, now()
    if row.amount < 0:
        await _take_back(db, row, body)
    else:
        money = MoneyIn.model_construct(amount=row.amount, currency=row.currency)
        account = await customer_account(db, row.operator_id, body.account_id, money)
        await credit(db, row, account, caller.sub, body.reason)
    return await _out(db, row)


async def _take_back(db: AsyncSession, row: tables.BankEntry, body: AssignIn) -> None:
    """As a chargeback with the id of the entry, so there is one. Not linked as the entry that the
    top-up came in by is: that is one, and the bank may take it back in parts.

    Raises UnknownTransfer, MoreThanWasPaid.
    """
    topup = await db.get(tables.Topup, body.topup_id, with_for_update=True)
    wanted = (row.operator_id, body.account_id, "bank", "paid", row.currency)
    if topup is None or wanted != (
        topup.operator_id, topup.account_id, topup.way, topup.state, topup.currency,
    ):  # fmt: skip
        raise UnknownTransfer("see the account's top-ups whose way is bank")
    left = await left_of(db, topup)
    if -row.amount > left:
        why = f"{left:f} are left of it; if staff have refunded it, dismiss this"
        raise MoreThanWasPaid(why, left=f"{left:f}")
    chargeback = tables.Chargeback(
        id=row.id,
        operator_id=row.operator_id,
        account_id=topup.account_id,
        topup_id=topup.id,
        provider_chargeback_id=str(row.id),
        amount=-row.amount,
        currency=row.currency,
        reason=body.reason,
        at=datetime.combine(row.booked_on, time(), UTC),
    )
    db.add(chargeback)
    await db.flush()
    await booking.charge_back(db, topup, chargeback)


@router.post(
    "/{entry_id}/dismiss", summary="Say that a transfer is no top-up", dependencies=[writes]
)
async def dismiss_bank_entry(
    entry_id: UUID, body: DismissIn, db: Db, caller: Caller
) -> BankEntryOut:
    of_every_location(caller)
    row = await _get(db, entry_id, lock=True)
    if row.state == "dismissed":
        return await _out(db, row)
    _check_undecided(await _out(db, row))
    row.state, row.why, row.decided_by, row.decided_at = (
        "dismissed", body.reason, caller.sub, now(),
    )  # fmt: skip
    await db.flush()
    return await _out(db, row)


def _check_undecided(row: BankEntryOut) -> None:
    """Raises EntryDecided."""
    if row.state != "unmatched":
        raise EntryDecided(f"it is {row.state}", topup=row.topup_id and str(row.topup_id))


async def _get(db: AsyncSession, entry_id: UUID, *, lock: bool = False) -> tables.BankEntry:
    """Raises NotFound."""
    table = tables.BankEntry
    row = await db.get(table, entry_id, with_for_update=lock, populate_existing=lock)
    if row is None:
        raise NotFound(f"there is no transfer with the id {entry_id}")
    return row
