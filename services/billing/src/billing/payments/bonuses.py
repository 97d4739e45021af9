"""Bonus credit: given by the operator, spent before money, never paid out; may expire."""

import asyncio
import logging
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.payments import bonus_lots, booking
from billing.payments.amounts import MoneyIn, asked_for, customer_account, of_every_location
from common import idempotency, paging
from common.auth import Caller, scoped
from common.clock import Moment, now
from common.database import PLATFORM, Connections, Db
from common.fields import Body, Line
from common.money import Money
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/bonuses", tags=["payments"])

reads = scoped("payments:read")
writes = scoped("payments:write")

EXPIRE_EVERY_S: Final = 60.0
BATCH: Final = 200
ZERO: Final = Decimal(0)


class BonusExpired(Problem):
    status = 422
    title = "The bonus would have expired already"


class BonusIn(Body):
    account_id: UUID
    amount: MoneyIn
    reason: Line
    expires_at: Moment | None = Field(default=None, description="what is left then is taken back")


class BonusOut(BaseModel):
    id: UUID
    operator_id: UUID
    account_id: UUID
    amount: Money
    reason: str
    made_by: str
    made_at: AwareDatetime
    expires_at: AwareDatetime | None
    expired_at: AwareDatetime | None
    expired_amount: Money | None = Field(description="what was left of it then")


def _out(row: tables.Bonus) -> BonusOut:
    fields: dict[str, Any] = {
        name: getattr(row, name)
        for name in BonusOut.model_fields
        if name not in ("amount", "expired_amount")
    }
    expired = row.expired_amount
    return BonusOut(
        **fields,
        amount=Money(amount=row.amount, currency=row.currency),
        expired_amount=None if expired is None else Money(amount=expired, currency=row.currency),
    )


@router.get("", summary="List bonuses, the newest first", dependencies=[reads])
async def list_bonuses(
    db: Db,
    caller: Caller,
    account_id: UUID | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[BonusOut]:
    table = tables.Bonus
    wanted = {table.operator_id: caller.operator_id, table.account_id: account_id}
    query = select(table).where(*paging.given(wanted))
    found, after = await paging.rows(
        db, query, table.id, limit=limit, cursor=cursor, newest_first=True
    )
    return Page(items=[_out(row) for row in found], next_cursor=after)


@router.get("/{bonus_id}", summary="Read a bonus", dependencies=[reads])
async def read_bonus(bonus_id: UUID, db: Db) -> BonusOut:
    row = await db.get(tables.Bonus, bonus_id)
    if row is None:
        raise NotFound(f"there is no bonus with the id {bonus_id}")
    return _out(row)


@router.post(
    "",
    status_code=201,
    summary="Give a bonus",
    dependencies=[writes],
    responses={200: {"model": BonusOut, "description": "It was given before, with this key"}},
)
async def give_bonus(
    body: BonusIn, db: Db, caller: Caller, key: idempotency.Key, response: Response
) -> BonusOut:
    of_every_location(caller)
    operator_id = caller.tenant()
    asked = asked_for(body)
    row = await idempotency.made_before(db, tables.Bonus, operator_id, key, asked)
    if row is not None:
        response.status_code = 200
        return _out(row)
    if body.expires_at is not None and body.expires_at <= now():
        raise BonusExpired("say a moment to come")
    account = await customer_account(db, operator_id, body.account_id, body.amount)
    row = tables.Bonus(
        operator_id=operator_id,
        account_id=account.id,
        amount=body.amount.amount,
        currency=body.amount.currency,
        reason=body.reason,
        expires_at=body.expires_at,
        idempotency_key=key,
        asked=asked,
        made_by=caller.sub,
    )
    db.add(row)
    await db.flush()
    await booking.give(db, row)
    return _out(row)


async def expiring(connections: Connections) -> None:
    while True:
        if await expire_once(connections, now()) < BATCH:
            await asyncio.sleep(EXPIRE_EVERY_S)


async def expire_once(connections: Connections, at: datetime) -> int:
    """How many bonuses had come to their end. Each in a transaction of its own."""
    table = tables.Bonus
    async with connections.begin(PLATFORM) as db:
        query = select(table.operator_id, table.id).where(
            table.expires_at <= at, table.expired_at.is_(None)
        )
        due = (await db.execute(query.order_by(table.expires_at).limit(BATCH))).all()
    for operator_id, bonus_id in due:
        async with connections.begin(operator_id) as db:
            await _expire(db, bonus_id, at)
    return len(due)


async def _expire(db: AsyncSession, bonus_id: UUID, at: datetime) -> None:
    query = select(tables.Bonus).where(tables.Bonus.id == bonus_id).with_for_update()
    row = (await db.scalars(query)).one()
    if row.expired_at is not None:
        return
    # Nothing is spent of it from here to the end of the transaction.
    await booking.money_of(db, row.account_id)
    left = bonus_lots.left(await _movements(db, row.account_id))
    row.expired_at, row.expired_amount = at, left.get(row.id, ZERO)
    await db.flush()
    await booking.take_expired(db, row, at)


async def _movements(db: AsyncSession, account_id: UUID) -> list[bonus_lots.Movement]:
    posting, journal, bonus = tables.Posting, tables.Journal, tables.Bonus
    query = (
        select(posting.amount, bonus.id, bonus.expires_at)
        .join(journal, journal.id == posting.journal_id)
        .outerjoin(bonus, bonus.id == journal.payment_id)
        .where(posting.account_id == account_id, posting.purse == "bonus")
        .order_by(posting.id)
    )
    return [bonus_lots.Movement(*row) for row in await db.execute(query)]
