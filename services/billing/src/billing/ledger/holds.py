"""What is held of an account for what runs: one update that finds nothing where it would not fit.

What a hold holds changes under the lock of its balance, which is taken first, as everywhere, so
that no two wait for each other in a circle; and no row is locked more than its update needs (no key
update), for a new hold keeps the key of its balance.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.ledger import standing
from billing.ledger.entries import ZERO
from billing.ledger.standing import AVAILABLE
from common.ids import uuid7

End = Literal["settled", "released", "expired"]

NEW: Final = """
insert into hold (id, operator_id, account_id, key, session_id, amount, expires_at)
values (:id, :operator, :account, :key, :session, :amount, :expires_at)
on conflict (operator_id, key) do nothing
returning account_id, amount
"""
PLACE: Final = text(
    f"""
    with new as ({NEW}),
    room as (
        update balance b set held = b.held + new.amount
        from new, account a
        where b.account_id = new.account_id and a.id = b.account_id and a.state = 'open'
            and coalesce({AVAILABLE} >= new.amount, true)
        returning b.account_id
    )
    select (select count(*) from new) as new, (select count(*) from room) as room
    """  # noqa: S608 - constants of ours
)
NOTHING: Final = text(NEW)
# Taken back in the transaction that made it: nobody has seen it.
TAKE_BACK: Final = text("delete from hold where operator_id = :operator and key = :key")
STANDS: Final = text("select state = 'held' from hold where operator_id = :operator and key = :key")
# A statement of its own: one that locks the newest version of a row and then updates it goes by the
# version that it saw at first, and two of them can wait for each other along the versions between.
LOCK: Final = text(
    """
    select from balance where account_id = (
        select account_id from hold where operator_id = :operator and key = :key
    )
    for no key update
    """
)
EXTEND: Final = text(
    f"""
    with found as (
        select h.id, h.account_id, case when a.state = 'open'
            then greatest(least(:upto - h.amount, coalesce({AVAILABLE}, :upto - h.amount)), 0)
            else 0 end as more
        from hold h
        join balance b on b.account_id = h.account_id
        join account a on a.id = h.account_id
        where h.operator_id = :operator and h.key = :key and h.state = 'held'
    ),
    room as (
        update balance b set held = b.held + found.more
        from found where b.account_id = found.account_id and found.more > 0
    )
    update hold h set amount = h.amount + found.more, expires_at = :expires_at
    from found where h.id = found.id
    returning h.amount, h.account_id
    """  # noqa: S608 - constants of ours
)
# Of a session that was heard of again; nothing is held until it is extended.
REVIVE: Final = text(
    """
    update hold set state = 'held', amount = 0, ended_at = null, expires_at = :expires_at
    where operator_id = :operator and key = :key and state = 'expired'
    """
)
END: Final = text(
    """
    with ended as (
        update hold set state = :state, ended_at = now()
        where operator_id = :operator and key = :key and state = 'held'
            and expires_at < coalesce(cast(:overdue_at as timestamptz), 'infinity')
        returning account_id, amount
    ),
    freed as (
        update balance b set held = b.held - ended.amount
        from ended where b.account_id = ended.account_id
    )
    select account_id, amount from ended
    """
)


def key_of(session_id: UUID) -> str:
    return f"session:{session_id}"


async def place(
    db: AsyncSession,
    operator_id: UUID,
    account_id: UUID,
    key: str,
    amount: Decimal,
    expires_at: datetime,
) -> bool:
    """Whether it is held: nothing is where it does not fit or the account is not open.

    A repeat holds nothing more; False then: what was held is over.
    """
    of_key = {"operator": operator_id, "key": key}
    values = {
        "id": uuid7(),
        "account": account_id,
        "session": None,
        "amount": amount,
        "expires_at": expires_at,
    }
    done = (await db.execute(PLACE, of_key | values)).one()
    if not done.new:
        return bool(await db.scalar(STANDS, of_key))
    if not done.room:
        await db.execute(TAKE_BACK, of_key)
        return False
    standing.touched(db, operator_id, account_id)
    return True


async def begin(
    db: AsyncSession,
    operator_id: UUID,
    account_id: UUID,
    session_id: UUID,
    upto: Decimal,
    expires_at: datetime,
) -> Decimal | None:
    """Hold as much as there is for a session, for it runs whatever there is; the sum.

    None: there was a hold before.
    """
    values = {
        "id": uuid7(),
        "operator": operator_id,
        "account": account_id,
        "key": key_of(session_id),
        "session": session_id,
        "amount": ZERO,
        "expires_at": expires_at,
    }
    if (await db.execute(NOTHING, values)).first() is None:
        return None
    return await extend(db, operator_id, key_of(session_id), upto, expires_at)


async def extend(
    db: AsyncSession, operator_id: UUID, key: str, upto: Decimal, expires_at: datetime
) -> Decimal | None:
    """Hold this much in all, or as much of it as there is; never less than before. The sum.

    None: nothing is held by this key.
    """
    of_key = {"operator": operator_id, "key": key}
    await db.execute(LOCK, of_key)
    values = of_key | {"upto": upto, "expires_at": expires_at}
    row = (await db.execute(EXTEND, values)).first()
    if row is None:
        return None
    standing.touched(db, operator_id, row.account_id)
    return Decimal(row.amount)


async def revive(db: AsyncSession, operator_id: UUID, key: str, expires_at: datetime) -> None:
    """Begin anew what had expired, with nothing held."""
    of_key = {"operator": operator_id, "key": key}
    await db.execute(LOCK, of_key)
    await db.execute(REVIVE, of_key | {"expires_at": expires_at})


async def end(
    db: AsyncSession,
    operator_id: UUID,
    key: str,
    state: End,
    *,
    overdue_at: datetime | None = None,
) -> Decimal | None:
    """Give free what was held; the sum. None: nothing is held by this key.

    overdue_at: only if it is over by then: it may have been extended while this waited.
    """
    of_key = {"operator": operator_id, "key": key}
    await db.execute(LOCK, of_key)
    row = (await db.execute(END, of_key | {"state": state, "overdue_at": overdue_at})).first()
    if row is None:
        return None
    standing.touched(db, operator_id, row.account_id)
    return Decimal(row.amount)
