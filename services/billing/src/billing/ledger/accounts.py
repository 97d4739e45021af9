"""Customers' accounts, for staff: what is there, what is held, whether it may charge, and why."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.ledger import standing
from billing.ledger.entries import OwnerKind
from billing.ledger.opening import account_for
from common import paging, single
from common.auth import Caller, scoped
from common.database import Db
from common.fields import Body, Line, Patch
from common.ids import uuid7
from common.money import Currency, CurrencyIn, Exact, Money, digits, plain, schema
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem
from common.versions import Expected, ExpectedIfSaid

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

reads = scoped("accounts:read")
writes = scoped("accounts:write")

State = Literal["open", "blocked", "closed"]
# Ten digits before the point: far beyond what anybody is granted, and no sum of them overflows.
SUM: Final = r"[0-9]{1,10}(\.[0-9]{1,4})?"
Sum = Annotated[Exact, digits(SUM), schema(SUM, "50")]

OF_ACCOUNT: Final = (
    "id", "operator_id", "owner_kind", "owner_id", "currency", "state", "state_reason",
    "chargeback", "strategy_id", "may_charge", "standing_reason", "limit_reason", "version",
    "created_at",
)  # fmt: skip


# Whom billing knows of by identity's events.
OWNERS: Final[dict[OwnerKind, Any]] = {
    "user": tables.Person,
    "company": tables.Company,
    "card": tables.Card,
    "partner": tables.Partner,
}


class UnknownOwner(Problem):
    status = 422
    title = "The operator has nobody with this id"


class AccountClosed(Problem):
    status = 409
    title = "The account is closed"


class AccountNotClosed(Problem):
    status = 409
    title = "The account is not closed"


class AccountInUse(Problem):
    status = 409
    title = "The account still holds or owes something"


class AccountHasAnotherLimit(Problem):
    status = 409
    title = "The account is there, with another credit limit"


class AccountIn(Body):
    owner_kind: OwnerKind
    owner_id: UUID
    currency: CurrencyIn
    credit_limit: Sum | None = Field(
        default=None, description="how far below zero it may go; null: without end; 0: prepaid"
    )


class AccountPatch(Patch):
    may_be_null: ClassVar[frozenset[str]] = frozenset({"credit_limit", "floor"})

    credit_limit: Sum | None = Field(default=None, description="null: without end")
    minimum: Sum | None = Field(default=None, description="to begin a session with")
    floor: Sum | None = Field(
        default=None,
        description="how far below the limit a prepaid session that is stopped late may take it; "
        "what is below it the operator bears; null: without end",
    )
    reason: Line


class Reason(Body):
    reason: Line


class AccountOut(BaseModel):
    id: UUID
    operator_id: UUID
    owner_kind: OwnerKind
    owner_id: UUID
    currency: Currency
    state: State
    state_reason: str | None
    chargeback: bool = Field(description="it is blocked because a payment was charged back")
    strategy_id: UUID | None
    balance: Money = Field(description="above zero: in the wallet; below: owed")
    bonus: Money = Field(description="given by the operator; spent first, never paid out")
    held: Money = Field(description="of both, for what runs")
    credit_limit: Money | None = Field(description="null: without end")
    limit_reason: str | None = Field(description="of its last change")
    floor: Money | None = Field(description="below the limit; null: without end")
    minimum: Money
    available: Money | None = Field(description="what may still be spent; null: without end")
    may_charge: bool
    standing_reason: Literal["no_credit", "blocked", "chargeback", "closed"] | None
    version: int
    created_at: AwareDatetime


@router.get("", summary="List accounts", dependencies=[reads])
async def list_accounts(
    db: Db,
    caller: Caller,
    owner_kind: OwnerKind | None = None,
    owner_id: UUID | None = None,
    state: State | None = None,
    may_charge: bool | None = None,
    strategy_id: UUID | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[AccountOut]:
    table = tables.Account
    wanted: dict[Any, Any] = {
        table.operator_id: caller.operator_id,
        table.kind: "customer",
        table.owner_kind: owner_kind,
        table.owner_id: owner_id,
        table.state: state,
        table.may_charge: may_charge,
        table.strategy_id: strategy_id,
    }
    query = select(table).where(*paging.given(wanted))
    found, after = await paging.rows(db, query, table.id, limit=limit, cursor=cursor)
    return Page(items=await outs(db, found), next_cursor=after)


@router.post(
    "",
    status_code=201,
    summary="Open an account",
    dependencies=[writes],
    responses={200: {"model": AccountOut, "description": "It was there, and stays as it is"}},
)
async def open_account(body: AccountIn, db: Db, caller: Caller, response: Response) -> AccountOut:
    """For somebody who shall have one before the first session."""
    owner = await db.get(OWNERS[body.owner_kind], body.owner_id)
    if owner is None or owner.operator_id != caller.tenant():
        raise UnknownOwner(f"there is no {body.owner_kind} with the id {body.owner_id}")
    new_id = uuid7()
    account_id = await account_for(
        db,
        caller.tenant(),
        body.owner_kind,
        body.owner_id,
        body.currency,
        credit_limit=body.credit_limit,
        new_id=new_id,
    )
    row = await get(db, account_id)
    if account_id != new_id:
        if body.credit_limit not in {None, row.credit_limit}:
            limit = "no limit" if row.credit_limit is None else plain(row.credit_limit)
            raise AccountHasAnotherLimit(f"it has {limit}: PATCH /v1/accounts/{row.id} changes it")
        response.status_code = 200
    await standing.look_at(db, caller.tenant(), [account_id])
    await db.refresh(row)
    return await out(db, single.tagged(response, row))


@router.get("/{account_id}", summary="Read an account", dependencies=[reads])
async def read_account(account_id: UUID, db: Db, response: Response) -> AccountOut:
    return await out(db, single.tagged(response, await get(db, account_id)))


@router.patch("/{account_id}", summary="Change what an account may", dependencies=[writes])
async def change_account(
    account_id: UUID, body: AccountPatch, expected: Expected, db: Db, response: Response
) -> AccountOut:
    """What runs goes on; the next start is judged by it."""
    changes = body.changes()
    changes["limit_reason"] = changes.pop("reason")
    return await _change(db, account_id, expected, changes, response)


@router.post("/{account_id}/block", summary="Block an account", dependencies=[writes])
async def block_account(
    account_id: UUID, body: Reason, expected: ExpectedIfSaid, db: Db, response: Response
) -> AccountOut:
    """What runs goes on, the next start is refused."""
    changes = {"state": "blocked", "state_reason": body.reason}
    return await _change(db, account_id, expected, changes, response)


@router.post("/{account_id}/unblock", summary="Unblock an account", dependencies=[writes])
async def unblock_account(
    account_id: UUID, body: Reason, expected: ExpectedIfSaid, db: Db, response: Response
) -> AccountOut:
    changes = {"state": "open", "state_reason": body.reason, "chargeback": False}
    return await _change(db, account_id, expected, changes, response)


@router.post("/{account_id}/close", summary="Close an account", dependencies=[writes])
async def close_account(
    account_id: UUID, body: Reason, expected: ExpectedIfSaid, db: Db, response: Response
) -> AccountOut:
    """Nothing may be in it, owed or held. No money comes into it and no session begins until it is
    opened again; what is told late of a session is booked all the same.
    """
    await lock(db, account_id)
    balance = await db.get(tables.Balance, account_id, populate_existing=True)
    left = {name: getattr(balance, name) for name in ("posted", "bonus", "held")}
    if any(left.values()):
        raise AccountInUse(
            f"money {plain(left['posted'])}, bonus {plain(left['bonus'])}, held "
            f"{plain(left['held'])}: pay back or collect what is left first"
        )
    changes = {"state": "closed", "state_reason": body.reason}
    return await _change(db, account_id, expected, changes, response)


@router.post("/{account_id}/reopen", summary="Open a closed account again", dependencies=[writes])
async def reopen_account(
    account_id: UUID, body: Reason, expected: ExpectedIfSaid, db: Db, response: Response
) -> AccountOut:
    """Blocked, if it was closed while a payment was charged back."""
    row = await lock(db, account_id)
    if row.state != "closed":
        raise AccountNotClosed("there is nothing to open again")
    state = "blocked" if row.chargeback else "open"
    changes = {"state": state, "state_reason": body.reason}
    return await _change(db, account_id, expected, changes, response, reopened=True)


async def _change(
    db: AsyncSession,
    account_id: UUID,
    expected: frozenset[int] | None,
    changes: dict[str, Any],
    response: Response,
    *,
    reopened: bool = False,
) -> AccountOut:
    """Raises AccountClosed, unless that is what is undone."""
    if (await lock(db, account_id)).state == "closed" and not reopened:
        raise AccountClosed("open it again first")
    row = await single.change(db, tables.Account, account_id, expected, changes)
    await standing.look_at(db, row.operator_id, [account_id])
    await db.refresh(row)
    return await out(db, single.tagged(response, row))


async def get(db: AsyncSession, account_id: UUID) -> tables.Account:
    """Raises NotFound, for one of the operator's own too."""
    row = await single.get(db, tables.Account, account_id)
    if row.kind != "customer":
        raise NotFound(f"there is no account with the id {account_id}")
    return row


async def lock(db: AsyncSession, account_id: UUID) -> tables.Account:
    """Before it is changed: whoever posts meanwhile looks at its standing when that is done."""
    row = await get(db, account_id)
    balance = tables.Balance
    query = select(balance).where(balance.account_id == account_id)
    await db.execute(query.with_for_update(key_share=True))
    await db.refresh(row)
    return row


async def block(db: AsyncSession, account_id: UUID, reason: str, *, chargeback: bool) -> None:
    """As the service itself does it; one that is blocked is blocked for this as well."""
    row = await lock(db, account_id)
    row.version += 1
    row.chargeback = row.chargeback or chargeback  # of a closed one too: it may be opened again
    if row.state != "closed":
        row.state, row.state_reason = "blocked", reason
    await db.flush()
    standing.touched(db, row.operator_id, account_id)


async def out(db: AsyncSession, row: tables.Account) -> AccountOut:
    return (await outs(db, [row]))[0]


async def outs(db: AsyncSession, rows: Sequence[tables.Account]) -> list[AccountOut]:
    balance = tables.Balance
    query = select(balance).where(balance.account_id.in_([row.id for row in rows]))
    # As it is now: what the transaction read of it before may be older.
    found = await db.scalars(query, execution_options={"populate_existing": True})
    balances = {one.account_id: one for one in found}
    return [_out(row, balances[row.id]) for row in rows]


def _out(row: tables.Account, balance: tables.Balance) -> AccountOut:
    limit = row.credit_limit
    left = None if limit is None else balance.posted + balance.bonus - balance.held + limit

    def money(amount: Any) -> Money | None:
        return None if amount is None else Money(amount=amount, currency=row.currency)

    return AccountOut.model_validate(
        {name: getattr(row, name) for name in OF_ACCOUNT}
        | {
            "balance": money(balance.posted),
            "bonus": money(balance.bonus),
            "held": money(balance.held),
            "credit_limit": money(limit),
            "floor": money(row.floor),
            "minimum": money(row.minimum),
            "available": money(left),
        }
    )
