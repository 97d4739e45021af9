"""What a payment provider's answer changes. The same answer again changes nothing."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.payments import booking, provider
from common.clock import now

BY_THE_PROVIDER = "provider"


async def apply(db: AsyncSession, row: tables.Topup, told: provider.Payment) -> None:
    """row: locked."""
    if told.topup_id != row.id or row.provider_payment_id not in (None, told.id):
        row.problem = f"{told.id} is the payment of something else"
        return
    row.provider_payment_id = told.id
    row.checkout_url = told.checkout_url or row.checkout_url
    row.problem = None
    if row.state not in ("paid", "mismatched"):
        await _settle(db, row, told)
    if row.state == "paid":
        for refund in told.refunds:
            await of_refund(db, row, refund)
        for chargeback in told.chargebacks:
            await _of_chargeback(db, row, chargeback)


async def _settle(db: AsyncSession, row: tables.Topup, told: provider.Payment) -> None:
    """Paid counts also where it was given up before: the money is there."""
    if told.status != "paid":
        row.state = told.status
    elif (told.amount, told.currency) != (row.amount, row.currency):
        row.state = "mismatched"
        row.problem = f"paid were {told.amount:f} {told.currency}; nothing was credited"
    else:
        await booking.credit(db, row, BY_THE_PROVIDER)


async def refunds_of(db: AsyncSession, topup_id: UUID) -> Sequence[tables.Refund]:
    query = select(tables.Refund).where(tables.Refund.topup_id == topup_id)
    return (await db.scalars(query.order_by(tables.Refund.id))).all()


async def of_refund(db: AsyncSession, topup: tables.Topup, told: provider.Refund) -> None:
    """topup: locked."""
    if told.currency != topup.currency:
        topup.problem = f"{told.id} is a refund in {told.currency}; it was not booked"
        return
    known = await refunds_of(db, topup.id)
    row = next((r for r in known if told.id == r.provider_refund_id), None) or next(
        (r for r in known if told.refund_id == r.id), None
    )
    if row is None:
        if told.status == "failed":
            return
        row = await _found(db, topup, told)
    if row.state != "asked":
        return
    row.provider_refund_id = told.id
    if told.status == "confirmed":
        row.state, row.ended_at, row.problem = "confirmed", now(), None
    elif told.status == "failed":
        await fail(db, topup, row, "the provider could not pay it back")


async def fail(db: AsyncSession, topup: tables.Topup, row: tables.Refund, why: str) -> None:
    row.state, row.ended_at, row.problem = "failed", now(), why
    await booking.undo_pay_back(db, topup, row)


async def _found(db: AsyncSession, topup: tables.Topup, told: provider.Refund) -> tables.Refund:
    """Somebody has made it at the provider; the money has left all the same."""
    row = tables.Refund(
        operator_id=topup.operator_id,
        account_id=topup.account_id,
        topup_id=topup.id,
        amount=told.amount,
        currency=told.currency,
        state="asked",
        reason="refunded at the provider",
        made_by=BY_THE_PROVIDER,
        provider_refund_id=told.id,
    )
    db.add(row)
    await db.flush()
    await booking.pay_back(db, topup, row)
    return row


async def _of_chargeback(db: AsyncSession, topup: tables.Topup, told: provider.Chargeback) -> None:
    if told.currency != topup.currency:
        topup.problem = f"{told.id} is a chargeback in {told.currency}; it was not booked"
        return
    table = tables.Chargeback
    query = select(table).where(table.topup_id == topup.id, table.provider_chargeback_id == told.id)
    row = await db.scalar(query)
    if row is None:
        row = tables.Chargeback(
            operator_id=topup.operator_id,
            account_id=topup.account_id,
            topup_id=topup.id,
            provider_chargeback_id=told.id,
            amount=told.amount,
            currency=told.currency,
            reason=told.reason,
            at=told.at,
        )
        db.add(row)
        await db.flush()
        await booking.charge_back(db, topup, row)
    if told.reversed and row.reversed_at is None:
        row.reversed_at = now()
        await booking.undo_charge_back(db, topup, row)
