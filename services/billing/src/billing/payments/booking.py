"""What each thing that happens to money is in the ledger.

Each has an event id of its own, so it is booked once, however often and by whomever it is told.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.ledger import Amount, Entry, Own, accounts, post
from common.clock import now

BANK: Final = Own("bank")
CASH: Final = Own("cash")
BONUS: Final = Own("bonus_expense")


def source(topup: tables.Topup) -> Own:
    """The operator's account that the money of a top-up came into, and goes back from."""
    if topup.way == "provider":
        return Own("provider", topup.provider or "")
    return CASH if topup.way == "cash" else BANK


def event_id(topup: tables.Topup) -> str:
    """Of a provider the payment itself: one credit a payment, whatever row tells of it."""
    if topup.provider_payment_id is not None:
        return f"payment:{topup.provider}:{topup.provider_payment_id}"
    return f"topup:{topup.id}"


async def credit(db: AsyncSession, topup: tables.Topup, by: str) -> None:
    topup.state, topup.paid_at = "paid", now()
    await db.flush()
    await book(db, topup, by)


async def book(db: AsyncSession, topup: tables.Topup, by: str) -> None:
    """One that is paid and stored."""
    entry = Entry(
        event_id=event_id(topup),
        kind="top_up",
        at=topup.paid_at or now(),
        currency=topup.currency,
        amounts=(Amount(topup.account_id, topup.amount), Amount(source(topup), -topup.amount)),
        memo=topup.reason or f"top-up by {topup.way}",
        by=by,
        payment_id=topup.id,
    )
    await post(db, topup.operator_id, entry)


async def pay_back(db: AsyncSession, topup: tables.Topup, refund: tables.Refund) -> None:
    """When it is asked for, so that nobody spends meanwhile what goes back."""
    entry = Entry(
        event_id=f"refund:{refund.id}",
        kind="refund",
        at=now(),
        currency=refund.currency,
        amounts=(Amount(refund.account_id, -refund.amount), Amount(source(topup), refund.amount)),
        memo=refund.reason,
        by=refund.made_by,
        payment_id=refund.id,
    )
    await post(db, refund.operator_id, entry)


async def undo_pay_back(db: AsyncSession, topup: tables.Topup, refund: tables.Refund) -> None:
    """The provider could not pay it back: the money is the customer's again."""
    entry = Entry(
        event_id=f"refund:{refund.id}:failed",
        kind="refund",
        at=now(),
        currency=refund.currency,
        amounts=(Amount(refund.account_id, refund.amount), Amount(source(topup), -refund.amount)),
        memo=f"not refunded: {refund.reason}",
        payment_id=refund.id,
    )
    await post(db, refund.operator_id, entry)


async def charge_back(db: AsyncSession, topup: tables.Topup, row: tables.Chargeback) -> None:
    """Below zero if it has been spent. The account is blocked until staff unblock it."""
    entry = Entry(
        event_id=f"chargeback:{row.id}",
        kind="chargeback",
        at=row.at,
        currency=row.currency,
        amounts=(Amount(row.account_id, -row.amount), Amount(source(topup), row.amount)),
        memo=row.reason or "chargeback",
        payment_id=row.id,
    )
    await post(db, row.operator_id, entry)
    reason = f"chargeback of {row.amount:f} {row.currency}"
    await accounts.block(db, row.account_id, reason, chargeback=True)


async def undo_charge_back(db: AsyncSession, topup: tables.Topup, row: tables.Chargeback) -> None:
    """The bank has given the money again. The account stays blocked until staff look at it."""
    entry = Entry(
        event_id=f"chargeback:{row.id}:reversed",
        kind="chargeback",
        at=now(),
        currency=row.currency,
        amounts=(Amount(row.account_id, row.amount), Amount(source(topup), -row.amount)),
        memo="chargeback reversed",
        payment_id=row.id,
    )
    await post(db, row.operator_id, entry)


async def give(db: AsyncSession, bonus: tables.Bonus) -> None:
    amounts = (
        Amount(bonus.account_id, bonus.amount, "bonus"),
        Amount(BONUS, -bonus.amount),
    )
    entry = Entry(
        event_id=f"bonus:{bonus.id}",
        kind="bonus",
        at=now(),
        currency=bonus.currency,
        amounts=amounts,
        memo=bonus.reason,
        by=bonus.made_by,
        payment_id=bonus.id,
    )
    await post(db, bonus.operator_id, entry)


async def take_expired(db: AsyncSession, bonus: tables.Bonus, at: datetime) -> None:
    """bonus.expired_amount: what is left of it."""
    left = bonus.expired_amount or Decimal(0)
    entry = Entry(
        event_id=f"bonus:{bonus.id}:expired",
        kind="bonus_expired",
        at=at,
        currency=bonus.currency,
        amounts=(Amount(bonus.account_id, -left, "bonus"), Amount(BONUS, left)),
        memo=f"expired: {bonus.reason}",
        payment_id=bonus.id,
    )
    if left:
        await post(db, bonus.operator_id, entry)


async def money_of(db: AsyncSession, account_id: UUID) -> tables.Balance:
    """The balance of a customer's account, locked until the transaction ends."""
    row = await db.get(tables.Balance, account_id, with_for_update=True)
    assert row is not None  # every customer's account has one
    return row
