"""Chargebacks: what customers' banks have taken back. Found by asking the provider, or named by
staff to whom a bank's statement told of it (billing.payments.bank_entries).
"""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import select

from billing import tables
from common import paging
from common.auth import Caller, scoped
from common.database import Db
from common.money import Money
from common.paging import Cursor, Limit, Page

router = APIRouter(prefix="/v1/chargebacks", tags=["payments"])


class ChargebackOut(BaseModel):
    id: UUID = Field(description="of a transfer, that of the bank's entry")
    operator_id: UUID
    account_id: UUID
    topup_id: UUID
    amount: Money
    reason: str | None
    at: AwareDatetime
    found_at: AwareDatetime
    reversed_at: AwareDatetime | None = Field(description="when it was booked that it was undone")


@router.get(
    "",
    summary="List chargebacks, the newest first",
    dependencies=[scoped("payments:read")],
)
async def list_chargebacks(
    db: Db,
    caller: Caller,
    account_id: UUID | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[ChargebackOut]:
    """Each has blocked its account; see the accounts to unblock it."""
    table = tables.Chargeback
    wanted = {table.operator_id: caller.operator_id, table.account_id: account_id}
    query = select(table).where(*paging.given(wanted))
    found, after = await paging.rows(
        db, query, table.id, limit=limit, cursor=cursor, newest_first=True
    )
    return Page(items=[_out(row) for row in found], next_cursor=after)


def _out(row: tables.Chargeback) -> ChargebackOut:
    fields: dict[str, Any] = {
        name: getattr(row, name) for name in ChargebackOut.model_fields if name != "amount"
    }
    return ChargebackOut(**fields, amount=Money(amount=row.amount, currency=row.currency))
