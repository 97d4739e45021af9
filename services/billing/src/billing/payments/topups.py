"""Top-ups: money that comes into a customer's account: online, in cash, or by transfer."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi import Body as Sent
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.payments import booking, providers, references
from billing.payments.amounts import (
    MoneyIn,
    UnknownAccount,
    asked_for,
    customer_account,
    of_every_location,
)
from billing.payments.asking import TAKEN, Asker
from billing.payments.provider import ProviderFailed
from common import idempotency, paging
from common.auth import Caller, Principal, scoped
from common.clock import now
from common.database import Connections, Db
from common.fields import Body, Line
from common.money import Money
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem

router = APIRouter(prefix="/v1/topups", tags=["payments"])

reads = scoped("payments:read")
writes = scoped("payments:write")

Way = Literal["provider", "cash", "bank"]
State = Literal["open", "paid", "failed", "canceled", "expired", "mismatched"]
# Between a transfer that staff have booked and the day on the bank's statement.
NEAR: Final = timedelta(days=3)
RECEIVED_BEFORE: Final = timedelta(days=10 * 366)  # as long as books are kept
IN_TURN: Final = text("select pg_advisory_xact_lock(hashtextextended(:name, 0))")


class NoPaymentProvider(Problem):
    status = 409
    title = "Nobody can pay online here"


class PaymentProviderFailed(Problem):
    """topup: its id; what was begun is gone on with, and the same key asks again."""

    status = 502
    title = "The payment provider did not do it"


class UnknownReference(Problem):
    status = 422
    title = "No account has this payment reference"


class AlreadyImported(Problem):
    """topup: the one that it was credited by."""

    status = 409
    title = "A bank statement has told of such a transfer already"


class TopupTooSmall(Problem):
    """minimum: what the account's strategy asks for at least."""

    status = 422
    title = "Less than is topped up at once"


Reference = Annotated[str, Field(max_length=40), AfterValidator(references.checked)]


class OnlineIn(Body):
    """The customer pays at the provider's page, checkout_url of the answer."""

    way: Literal["provider"]
    account_id: UUID
    amount: MoneyIn
    redirect_url: Annotated[str, Field(max_length=500, pattern=r"^https?://[!-~]+$")] = Field(
        description="where the provider sends the customer back to",
        examples=["https://app.example/wallet"],
    )
    description: Line = Field(default="Top-up", description="shown to the customer")


class CashIn(Body):
    way: Literal["cash"]
    account_id: UUID
    amount: MoneyIn
    receipt: Line = Field(description="its number")
    reason: Line


def _lately(day: date) -> date:
    # A day further on it may be already where the bank is.
    if not now().date() - RECEIVED_BEFORE <= day <= now().date() + timedelta(days=1):
        raise ValueError("it lies in the future, or more than ten years back")
    return day


class TransferIn(Body):
    """A transfer that is on the operator's bank account, found by somebody of the staff."""

    way: Literal["bank"]
    reference: Reference | None = Field(
        default=None, description="of the account", examples=["RF48 0539 0075 47"]
    )
    account_id: UUID | None = Field(default=None, description="instead of the reference")
    amount: MoneyIn
    received_on: Annotated[date, AfterValidator(_lately)]
    receipt: Line | None = Field(default=None, description="the bank's own reference")
    reason: Line
    confirm: bool = Field(
        default=False,
        description="it is another transfer than the one that a bank statement has told of",
    )


TopupIn = Annotated[OnlineIn | CashIn | TransferIn, Sent(discriminator="way")]


class TopupOut(BaseModel):
    id: UUID
    operator_id: UUID
    account_id: UUID
    way: Way
    amount: Money
    state: State
    made_by: str
    made_at: AwareDatetime
    paid_at: AwareDatetime | None = Field(description="when it was booked")
    receipt: str | None
    reason: str | None
    received_on: date | None
    provider: str | None
    provider_payment_id: str | None
    checkout_url: str | None = Field(description="where the customer pays, as long as it is open")
    problem: str | None = Field(description="for staff: what is wrong with it")


def out(row: tables.Topup) -> TopupOut:
    fields: dict[str, Any] = {
        name: getattr(row, name) for name in TopupOut.model_fields if name != "amount"
    }
    if row.state != "open":
        fields["checkout_url"] = None
    return TopupOut(**fields, amount=Money(amount=row.amount, currency=row.currency))


@router.get("", summary="List top-ups, the newest first", dependencies=[reads])
async def list_topups(
    db: Db,
    caller: Caller,
    account_id: UUID | None = None,
    way: Way | None = None,
    state: State | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[TopupOut]:
    table = tables.Topup
    wanted = {
        table.operator_id: caller.operator_id,
        table.account_id: account_id,
        table.way: way,
        table.state: state,
    }
    query = select(table).where(*paging.given(wanted))
    found, after = await paging.rows(
        db, query, table.id, limit=limit, cursor=cursor, newest_first=True
    )
    return Page(items=[out(row) for row in found], next_cursor=after)


@router.get("/{topup_id}", summary="Read a top-up", dependencies=[reads])
async def read_topup(topup_id: UUID, db: Db) -> TopupOut:
    return out(await get(db, topup_id))


async def get(db: AsyncSession, topup_id: UUID, *, lock: bool = False) -> tables.Topup:
    """Raises NotFound."""
    row = await db.get(tables.Topup, topup_id, with_for_update=lock)
    if row is None:
        raise NotFound(f"there is no top-up with the id {topup_id}")
    return row


@router.post(
    "",
    status_code=201,
    summary="Top up an account",
    dependencies=[writes],
    responses={200: {"model": TopupOut, "description": "It was made before, with this key"}},
)
async def make_topup(
    body: TopupIn, caller: Caller, key: idempotency.Key, request: Request, response: Response
) -> TopupOut:
    """Cash and transfers are credited at once; what is paid online once the provider, asked by us,
    says that it is paid.
    """
    of_every_location(caller)
    return await made(body, caller, key, request, response)


async def made(
    body: OnlineIn | CashIn | TransferIn,
    caller: Principal,
    key: str,
    request: Request,
    response: Response,
) -> TopupOut:
    """Of whoever may: the caller was looked at. The same key again is the same top-up."""
    operator_id = caller.tenant()
    connections: Connections = request.app.state.connections
    # Not the Db dependency: the provider is asked after the commit, and no transaction meanwhile.
    async with connections.acting(caller) as db:
        asked = asked_for(body)
        row = await idempotency.made_before(db, tables.Topup, operator_id, key, asked)
        if row is not None:
            response.status_code = 200
        else:
            row = await _new(db, operator_id, body)
            row.idempotency_key, row.asked, row.made_by = key, asked, caller.sub
            db.add(row)
            await db.flush()
            if row.way != "provider":
                await booking.credit(db, row, caller.sub)
    if row.way == "provider" and row.state == "open" and row.checkout_url is None:
        await _begin(request.app.state.beside.payments, row)
        async with connections.acting(caller) as db:
            row = await get(db, row.id)
    return out(row)


async def _begin(asker: Asker, row: tables.Topup) -> None:
    """Raises PaymentProviderFailed."""
    try:
        await asker.ask(row.operator_id, row.id)
    except ProviderFailed as error:
        raise PaymentProviderFailed(error.why, topup=str(row.id)) from error


async def _new(
    db: AsyncSession, operator_id: UUID, body: OnlineIn | CashIn | TransferIn
) -> tables.Topup:
    if isinstance(body, TransferIn):
        await in_turn(db, operator_id)
    account_id = await _account(db, operator_id, body)
    account = await customer_account(db, operator_id, account_id, body.amount)
    row = tables.Topup(
        operator_id=operator_id,
        account_id=account.id,
        way=body.way,
        amount=body.amount.amount,
        currency=body.amount.currency,
        state="open",
    )
    if isinstance(body, OnlineIn):
        provider = await provider_of(db, operator_id)
        await _not_too_small(db, account, body.amount.amount)
        row.provider, row.redirect_url = provider.kind, body.redirect_url
        row.reason = body.description
        # If this process dies before it has begun the payment, another goes on with it then.
        row.next_ask_at = now() + TAKEN
    else:
        row.receipt, row.reason = body.receipt, body.reason
    if isinstance(body, TransferIn):
        row.received_on = body.received_on
        if not body.confirm:
            await _not_imported(db, row)
    return row


async def provider_of(db: AsyncSession, operator_id: UUID) -> tables.PaymentProvider:
    """Raises NoPaymentProvider."""
    provider = await providers.of_operator(db, operator_id)
    if provider is None or not provider.active:
        raise NoPaymentProvider("the operator has no payment provider that is active")
    return provider


async def _not_too_small(db: AsyncSession, account: tables.Account, amount: Decimal) -> None:
    """Each online payment costs a fee. Raises TopupTooSmall."""
    if account.strategy_id is None:
        return
    strategy = await db.get(tables.AccountingStrategy, account.strategy_id)
    if strategy and strategy.minimum_topup is not None and amount < strategy.minimum_topup:
        least = f"{strategy.minimum_topup:f}"
        raise TopupTooSmall(f"at least {least} {account.currency}", minimum=least)


async def _account(
    db: AsyncSession, operator_id: UUID, body: OnlineIn | CashIn | TransferIn
) -> UUID:
    """Raises UnknownReference, UnknownAccount."""
    if isinstance(body, TransferIn) and body.reference is not None:
        table = tables.PaymentReference
        found: UUID | None = await db.scalar(
            select(table.account_id).where(
                table.operator_id == operator_id, table.reference == body.reference
            )
        )
        if found is None or body.account_id not in (None, found):
            raise UnknownReference(f"{body.reference} is of no account, or of another one")
        return found
    if body.account_id is None:
        raise UnknownAccount("name the reference or the account")
    return body.account_id


IMPORTED: Final = text(
    """
    select t.id from bank_entry e join topup t on t.id = e.topup_id
    where t.account_id = :account and t.amount = :amount
        and e.booked_on between :first and :last
    limit 1
    """
)


async def in_turn(db: AsyncSession, operator_id: UUID) -> None:
    """Until the transaction ends: whoever credits an operator's transfers, from a statement or by
    hand, sees what those before have credited. Taken before any row, so nobody waits in a circle.
    """
    await db.execute(IN_TURN, {"name": f"bank transfers of {operator_id}"})


async def _not_imported(db: AsyncSession, row: tables.Topup) -> None:
    """Raises AlreadyImported: one transfer must not be credited by its statement and by hand."""
    assert row.received_on is not None
    values = {
        "account": row.account_id,
        "amount": row.amount,
        "first": row.received_on - NEAR,
        "last": row.received_on + NEAR,
    }
    found = await db.scalar(IMPORTED, values)
    if found is not None:
        raise AlreadyImported("if it is another one, send confirm", topup=str(found))
