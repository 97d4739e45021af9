"""The account of whoever pays by a strategy: opened with its limits, which follow the strategy."""

from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import memberships, tables
from billing.ledger import account_for, standing
from billing.ledger.opening import FIND
from billing.pricing.choosing import Asked, PayerKind

ZERO: Final = Decimal(0)
# The balance is locked before the account is changed, as everywhere: whoever posts to it meanwhile
# looks at what the account may when that is done, and sees the new limits.
# Another strategy brings its own limits; what staff set by themselves holds for the one they saw.
ADOPT: Final = text(
    """
    with locked as (
        select b.account_id from balance b join account a on a.id = b.account_id
        where a.id = :account and a.strategy_id is distinct from :strategy
        for no key update of b
    )
    update account set strategy_id = :strategy, credit_limit = cast(:credit_limit as numeric),
        minimum = cast(:minimum as numeric), limit_reason = null, version = version + 1
    from locked where id = locked.account_id and strategy_id is distinct from :strategy
    returning id
    """
)
FOLLOW: Final = text(
    """
    with locked as (
        select b.account_id from balance b join account a on a.id = b.account_id
        where a.operator_id = :operator and a.strategy_id = :strategy
        order by b.account_id for no key update of b
    ),
    wanted (own_currency, credit_limit, minimum) as (
        values (true, cast(:credit_limit as numeric), cast(:minimum as numeric)),
            (false, cast(:elsewhere as numeric), cast(:minimum_elsewhere as numeric))
    )
    update account a set credit_limit = w.credit_limit, minimum = w.minimum, version = version + 1
    from locked, wanted w
    where a.id = locked.account_id and a.strategy_id = :strategy
        and w.own_currency = (a.currency = :currency) and a.limit_reason is null and (
            a.credit_limit is distinct from w.credit_limit or a.minimum is distinct from w.minimum
        )
    returning a.id
    """
)


class Limits(NamedTuple):
    credit_limit: Decimal | None  # None: none, as whoever gets an invoice has
    minimum: Decimal


def limits(strategy: tables.AccountingStrategy, *, own_currency: bool) -> Limits:
    """The strategy's sums are not of an account in another currency: there prepaid alone limits."""
    limit, minimum = strategy.credit_limit, strategy.minimum_balance or ZERO
    if not own_currency:
        limit, minimum = None, ZERO
    if limit is None and strategy.method == "prepaid":
        limit = ZERO
    return Limits(limit, minimum)


async def account_of(
    db: AsyncSession,
    strategy: tables.AccountingStrategy,
    kind: PayerKind,
    owner_id: UUID,
    currency: str | None = None,
    session: Asked | None = None,
) -> UUID:
    """currency: of the price, if it is another one than the strategy's. session: which the account
    is to pay for; None: whoever gives the strategy gives it now.
    """
    currency = currency or strategy.currency
    owner = {"operator": strategy.operator_id, "owner_kind": kind, "owner_id": owner_id}
    found = (await db.execute(FIND, owner | {"currency": currency})).one_or_none()
    if found is not None and found.strategy_id == strategy.id:
        return UUID(str(found.id))
    # A session may be told long after it began. Its price is of the groups that its driver was in
    # then, but what an account may is for the sessions to come: those groups open it at most.
    adopts = session is None or not await _of_the_past(db, session)
    if found is not None and not adopts:
        return UUID(str(found.id))
    # As it is now, until this transaction ends: a change of the strategy that is under way would
    # not find the account, and its old limits would stay. Before the balance is locked, as there.
    await db.refresh(strategy, with_for_update={"read": True})
    limit, minimum = limits(strategy, own_currency=currency == strategy.currency)
    account_id = await account_for(
        db,
        strategy.operator_id,
        kind,
        owner_id,
        currency,
        credit_limit=limit,
        minimum=minimum,
        strategy_id=strategy.id,
    )
    values = {
        "account": account_id, "strategy": strategy.id, "credit_limit": limit, "minimum": minimum,
    }  # fmt: skip
    if adopts and await db.scalar(ADOPT, values):
        standing.touched(db, strategy.operator_id, account_id)
    return account_id


async def _of_the_past(db: AsyncSession, session: Asked) -> bool:
    if session.user_id is None or session.holder is None:
        return False
    groups = session.holder.user_group_ids
    return await memberships.have_changed(
        db, session.operator_id, session.user_id, groups, session.at
    )


async def follow(db: AsyncSession, strategy: tables.AccountingStrategy) -> None:
    """A strategy has changed: so have the limits of those who pay by it and have none of their
    own.
    """
    own, elsewhere = (limits(strategy, own_currency=one) for one in (True, False))
    values = {
        "operator": strategy.operator_id,
        "strategy": strategy.id,
        "currency": strategy.currency,
        "credit_limit": own.credit_limit,
        "minimum": own.minimum,
        "elsewhere": elsewhere.credit_limit,
        "minimum_elsewhere": elsewhere.minimum,
    }
    changed = sorted(UUID(str(one)) for one in await db.scalars(FOLLOW, values))
    if changed:
        standing.touched(db, strategy.operator_id, *changed)
