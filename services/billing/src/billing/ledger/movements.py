"""What moved an account, and what is held of it: for staff, and for drivers of their own."""

from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.ledger import accounts
from billing.ledger.accounts import AccountOut
from billing.ledger.entries import ZERO, JournalKind
from common import paging
from common.auth import Caller, Principal, scoped
from common.database import Db
from common.money import Money
from common.paging import Cursor, Limit, Page
from common.problems import NotFound

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])
mine = APIRouter(prefix="/v1/me/accounts", tags=["me"])

reads = scoped("accounts:read")
reads_own = scoped("me:read")


class MovementOut(BaseModel):
    id: UUID
    kind: JournalKind
    at: AwareDatetime = Field(description="when it happened")
    booked_at: AwareDatetime
    amount: Money = Field(description="of money; above zero: the balance grew")
    bonus: Money = Field(description="of bonus credit")
    memo: str
    booked_by: str
    record_id: UUID | None
    payment_id: UUID | None


class HoldOut(BaseModel):
    id: UUID
    key: str
    session_id: UUID | None
    amount: Money = Field(description="now; once it is over, what was held last")
    state: Literal["held", "settled", "released", "expired"]
    made_at: AwareDatetime
    expires_at: AwareDatetime
    ended_at: AwareDatetime | None
    stop_wanted_at: AwareDatetime | None = Field(
        description="since when its session is to be stopped, for want of money"
    )
    stop_reason: str | None


@router.get(
    "/{account_id}/journals",
    summary="List what moved an account, the newest first",
    dependencies=[reads],
)
async def list_journals(
    account_id: UUID, db: Db, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[MovementOut]:
    return await _movements(db, await accounts.get(db, account_id), limit, cursor)


@router.get(
    "/{account_id}/holds",
    summary="List what is held of an account, the newest first",
    dependencies=[reads],
)
async def list_holds(
    account_id: UUID,
    db: Db,
    state: Literal["held", "settled", "released", "expired"] | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[HoldOut]:
    account = await accounts.get(db, account_id)
    hold = tables.Hold
    query = select(hold).where(hold.account_id == account_id)
    if state is not None:
        query = query.where(hold.state == state)
    found, after = await paging.rows(
        db, query, hold.id, limit=limit, cursor=cursor, newest_first=True
    )
    items = [
        HoldOut.model_validate(
            {name: getattr(row, name) for name in HoldOut.model_fields}
            | {"amount": Money(amount=row.amount, currency=account.currency)}
        )
        for row in found
    ]
    return Page(items=items, next_cursor=after)


@mine.get("", summary="My accounts", dependencies=[reads_own])
async def list_my_accounts(
    db: Db, caller: Caller, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[AccountOut]:
    """One a currency that I pay in."""
    query = select(tables.Account).where(*_of(caller))
    found, after = await paging.rows(db, query, tables.Account.id, limit=limit, cursor=cursor)
    return Page(items=await accounts.outs(db, found), next_cursor=after)


@mine.get("/{account_id}/journals", summary="What moved my account", dependencies=[reads_own])
async def list_my_journals(
    account_id: UUID,
    db: Db,
    caller: Caller,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[MovementOut]:
    query = select(tables.Account).where(*_of(caller), tables.Account.id == account_id)
    account = await db.scalar(query)
    if account is None:
        raise NotFound(f"there is no account with the id {account_id}")
    return await _movements(db, account, limit, cursor)


def _of(caller: Principal) -> tuple[Any, ...]:
    account = tables.Account
    return (
        account.operator_id == caller.operator_id,
        account.kind == "customer",
        account.owner_kind == "user",
        account.owner_id == caller.user_id,
    )


async def _movements(
    db: AsyncSession, account: tables.Account, limit: int, cursor: str | None
) -> Page[MovementOut]:
    journal, posting = tables.Journal, tables.Posting
    of_account = select(posting.journal_id).where(posting.account_id == account.id)
    query = select(journal).where(journal.id.in_(of_account))
    found, after = await paging.rows(
        db, query, journal.id, limit=limit, cursor=cursor, newest_first=True
    )
    amounts = (
        select(posting.journal_id, posting.purse, func.sum(posting.amount))
        .where(posting.account_id == account.id, posting.journal_id.in_([row.id for row in found]))
        .group_by(posting.journal_id, posting.purse)
    )
    sums: dict[tuple[UUID, str], Decimal] = {
        (journal_id, purse): amount for journal_id, purse, amount in await db.execute(amounts)
    }

    def of(row: tables.Journal, purse: str) -> Money:
        return Money(amount=sums.get((row.id, purse), ZERO), currency=account.currency)

    items = [
        MovementOut.model_validate(
            {name: getattr(row, name) for name in MovementOut.model_fields if hasattr(row, name)}
            | {"amount": of(row, "money"), "bonus": of(row, "bonus")}
        )
        for row in found
    ]
    return Page(items=items, next_cursor=after)
