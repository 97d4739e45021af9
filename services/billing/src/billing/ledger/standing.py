"""Whether an account may charge: looked at once a transaction that moved it, told when it flips."""

from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox
from common.database import before_commit, set_operator
from common.events import AccountStandingChanged

# What may still be spent; null: as much as is wanted.
AVAILABLE: Final = "b.posted + b.bonus - b.held + a.credit_limit"
# The most serious reason; null: it may charge. Who pays by invoice has no limit, or a far one.
REASON: Final = f"""case
    when a.state = 'closed' then 'closed'
    when a.state = 'blocked' and a.chargeback then 'chargeback'
    when a.state = 'blocked' then 'blocked'
    when {AVAILABLE} <= 0 or {AVAILABLE} < a.minimum then 'no_credit'
end"""
FLIPPED: Final = text(
    f"""
    update account a set
        may_charge = ({REASON}) is null,
        standing_reason = {REASON},
        standing_version = a.standing_version + 1
    from balance b
    where b.account_id = a.id and a.id = any(:ids) and (
        a.standing_version = 0 or a.standing_reason is distinct from ({REASON})
    )
    returning a.id, a.owner_kind, a.owner_id, a.currency, a.standing_version, a.may_charge,
        a.standing_reason, {AVAILABLE} as available
    """  # noqa: S608 - constants of ours
).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
TOUCHED: Final = "ledger_touched"


def touched(db: AsyncSession, operator_id: UUID, *account_ids: UUID) -> None:
    """Have these customers' accounts looked at as the transaction's last act."""
    db.info.setdefault(TOUCHED, {}).setdefault(operator_id, set()).update(account_ids)
    before_commit(db, _look_at_touched)


async def _look_at_touched(db: AsyncSession) -> None:
    found: dict[UUID, set[UUID]] = db.info.pop(TOUCHED, {})
    for operator_id, account_ids in sorted(found.items()):
        await set_operator(db, operator_id)
        await look_at(db, operator_id, sorted(account_ids))


async def look_at(db: AsyncSession, operator_id: UUID, account_ids: list[UUID]) -> None:
    flipped = await db.execute(FLIPPED, {"ids": account_ids})
    events = [
        AccountStandingChanged(
            operator_id=operator_id,
            account_id=row.id,
            owner_kind=row.owner_kind,
            owner_id=row.owner_id,
            currency=row.currency,
            version=row.standing_version,
            may_charge=row.may_charge,
            reason=row.standing_reason,
            available=row.available,
        )
        for row in flipped.all()
    ]
    await outbox.emit(db, *events)
