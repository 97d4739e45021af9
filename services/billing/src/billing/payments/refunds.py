"""Refunds: money goes back the way it came, never more than came, and no bonus."""

from contextlib import suppress
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.payments import answers, booking, topups
from billing.payments.amounts import Cents, asked_for, of_every_location
from billing.payments.asking import TAKEN
from billing.payments.provider import ProviderFailed
from common import idempotency, paging
from common.auth import Caller, scoped
from common.clock import now
from common.database import Connections, Db
from common.fields import Body, Line
from common.money import Money
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem

router = APIRouter(prefix="/v1", tags=["payments"])

reads = scoped("payments:read")
writes = scoped("payments:write")

State = Literal["asked", "confirmed", "failed"]
ZERO: Final = Decimal(0)


class NothingPaid(Problem):
    status = 409
    title = "This top-up was not paid"


class MoreThanWasPaid(Problem):
    """left: what of the top-up is not paid back or charged back yet."""

    status = 409
    title = "More than came in that way"


class MoreThanThereIs(Problem):
    """left: what of the account's money is neither spent nor held; bonus is not paid out."""

    status = 409
    title = "More than is in the account"


class ReceiptNeeded(Problem):
    status = 422
    title = "Say the number of the receipt"


class RefundIn(Body):
    amount: Cents = Field(description="in the top-up's currency")
    reason: Line
    receipt: Line | None = Field(
        default=None, description="of what staff have paid out or transferred, its number"
    )


class RefundOut(BaseModel):
    id: UUID
    operator_id: UUID
    account_id: UUID
    topup_id: UUID
    amount: Money
    state: State = Field(description="asked: the provider has not confirmed it yet")
    made_by: str
    made_at: AwareDatetime
    ended_at: AwareDatetime | None
    reason: str
    receipt: str | None
    provider_refund_id: str | None
    problem: str | None


def _out(row: tables.Refund) -> RefundOut:
    fields: dict[str, Any] = {
        name: getattr(row, name) for name in RefundOut.model_fields if name != "amount"
    }
    return RefundOut(**fields, amount=Money(amount=row.amount, currency=row.currency))


@router.get("/refunds", summary="List refunds, the newest first", dependencies=[reads])
async def list_refunds(
    db: Db,
    caller: Caller,
    account_id: UUID | None = None,
    topup_id: UUID | None = None,
    state: State | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[RefundOut]:
    table = tables.Refund
    wanted = {
        table.operator_id: caller.operator_id,
        table.account_id: account_id,
        table.topup_id: topup_id,
        table.state: state,
    }
    query = select(table).where(*paging.given(wanted))
    found, after = await paging.rows(
        db, query, table.id, limit=limit, cursor=cursor, newest_first=True
    )
    return Page(items=[_out(row) for row in found], next_cursor=after)


@router.get("/refunds/{refund_id}", summary="Read a refund", dependencies=[reads])
async def read_refund(refund_id: UUID, db: Db) -> RefundOut:
    row = await db.get(tables.Refund, refund_id)
    if row is None:
        raise NotFound(f"there is no refund with the id {refund_id}")
    return _out(row)


@router.post(
    "/topups/{topup_id}/refunds",
    status_code=201,
    summary="Pay money back the way it came",
    dependencies=[writes],
    responses={200: {"model": RefundOut, "description": "It was made before, with this key"}},
)
async def make_refund(
    topup_id: UUID,
    body: RefundIn,
    caller: Caller,
    key: idempotency.Key,
    request: Request,
    response: Response,
) -> RefundOut:
    """It leaves the account at once. What the provider does not do comes back into it; what it
    could not be asked is asked again.
    """
    of_every_location(caller)
    operator_id = caller.tenant()
    connections: Connections = request.app.state.connections
    async with connections.acting(caller) as db:
        asked = asked_for(body, topup_id=topup_id)
        row = await idempotency.made_before(db, tables.Refund, operator_id, key, asked)
        if row is not None:
            response.status_code = 200
            return _out(row)
        topup = await topups.get(db, topup_id, lock=True)
        await _check(db, topup, body)
        row = tables.Refund(
            operator_id=operator_id,
            account_id=topup.account_id,
            topup_id=topup.id,
            amount=body.amount,
            currency=topup.currency,
            state="asked",
            reason=body.reason,
            receipt=body.receipt,
            idempotency_key=key,
            asked=asked,
            made_by=caller.sub,
        )
        db.add(row)
        await db.flush()
        await booking.pay_back(db, topup, row)
        if topup.way == "provider":
            # If this process dies before it has asked the provider, another does it then.
            topup.next_ask_at = now() + TAKEN
        else:
            row.state, row.ended_at = "confirmed", now()
    if topup.way == "provider":
        row = await _asked(request, operator_id, row)
    return _out(row)


async def _asked(request: Request, operator_id: UUID, row: tables.Refund) -> tables.Refund:
    with suppress(ProviderFailed):  # kept with the top-up, and asked again
        await request.app.state.beside.payments.ask(operator_id, row.topup_id)
    connections: Connections = request.app.state.connections
    async with connections.begin(operator_id) as db:
        return await db.get_one(tables.Refund, row.id)


async def _check(db: AsyncSession, topup: tables.Topup, body: RefundIn) -> None:
    """Raises NothingPaid, ReceiptNeeded, MoreThanWasPaid, MoreThanThereIs."""
    if topup.state != "paid":
        raise NothingPaid(f"it is {topup.state}")
    if topup.way != "provider" and body.receipt is None:
        raise ReceiptNeeded("staff pay it back: in cash, or by a transfer of the bank's")
    left = await left_of(db, topup)
    if body.amount > left:
        raise MoreThanWasPaid(f"{left:f} are left of it", left=f"{left:f}")
    balance = await booking.money_of(db, topup.account_id)
    # What is held is spent of the bonus first.
    free = balance.posted - max(balance.held - balance.bonus, ZERO)
    if body.amount > free:
        raise MoreThanThereIs(f"{max(free, ZERO):f} can be paid back", left=f"{max(free, ZERO):f}")


async def left_of(db: AsyncSession, topup: tables.Topup) -> Decimal:
    """What of a top-up has neither gone back nor been charged back."""
    refunds = await answers.refunds_of(db, topup.id)
    back = sum((one.amount for one in refunds if one.state != "failed"), ZERO)
    table = tables.Chargeback
    query = select(table).where(table.topup_id == topup.id, table.reversed_at.is_(None))
    charged = sum((one.amount for one in await db.scalars(query)), ZERO)
    return topup.amount - back - charged
