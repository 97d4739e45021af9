"""Customers' accounts: one a payer and currency, there once it is first needed."""

from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.ledger import standing
from billing.ledger.entries import ZERO, OwnerKind
from billing.ledger.sharing import FLOOR_DEFAULT
from common.ids import uuid7

FIND: Final = text(
    "select id, strategy_id from account where operator_id = :operator and kind = 'customer' "
    "and owner_kind = :owner_kind and owner_id = :owner_id and currency = :currency"
)
OPEN: Final = text(
    """
    with new as (
        insert into account (
            id, operator_id, kind, owner_kind, owner_id, currency, credit_limit, floor, minimum,
            strategy_id, version
        )
        values (
            :id, :operator, 'customer', :owner_kind, :owner_id, :currency, :credit_limit, :floor,
            :minimum, :strategy, 1
        )
        on conflict (operator_id, owner_kind, owner_id, currency) where kind = 'customer' do nothing
        returning id
    )
    insert into balance (account_id, operator_id) select id, :operator from new
    returning account_id
    """
)


async def account_for(
    db: AsyncSession,
    operator_id: UUID,
    owner_kind: OwnerKind,
    owner_id: UUID,
    currency: str,
    *,
    credit_limit: Decimal | None = None,
    floor: Decimal | None = FLOOR_DEFAULT,
    minimum: Decimal = ZERO,
    strategy_id: UUID | None = None,
    new_id: UUID | None = None,
) -> UUID:
    """Whose account it is. The keywords count only where it is opened now.

    new_id: its id then, by which the caller knows that it was not there. credit_limit: how far
    below zero it may go; 0 for prepaid, None: without end. floor: how far below that a prepaid
    session which is stopped late may take it. minimum: what must be there to begin a session.
    """
    owner = {
        "operator": operator_id,
        "owner_kind": owner_kind,
        "owner_id": owner_id,
        "currency": currency,
    }
    found: UUID | None = await db.scalar(FIND, owner)
    if found is not None:
        return found
    more = {
        "id": new_id or uuid7(),
        "credit_limit": credit_limit,
        "floor": floor,
        "minimum": minimum,
        "strategy": strategy_id,
    }
    opened: UUID | None = await db.scalar(OPEN, owner | more)
    if opened is not None:
        standing.touched(db, operator_id, opened)
        return opened
    return UUID(str(await db.scalar(FIND, owner)))  # somebody else's transaction was first
