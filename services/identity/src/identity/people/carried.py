"""The accounting strategy that a card carries; billing keeps it and tells of it."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.problems import Problem
from identity.tables import AccountingStrategy


class UnknownStrategy(Problem):
    """Billing would bill nobody for a card with one that it does not know."""

    status = 422
    title = "The operator has no such accounting strategy"


class StrategySwitchedOff(Problem):
    status = 422
    title = "The accounting strategy is switched off"


async def check_strategy(db: AsyncSession, operator_id: UUID, strategy_id: UUID | None) -> None:
    """Raises UnknownStrategy or StrategySwitchedOff; None, as usual, is always right."""
    if strategy_id is None:
        return
    known = select(AccountingStrategy.active).where(
        AccountingStrategy.operator_id == operator_id,
        AccountingStrategy.strategy_id == strategy_id,
    )
    active = await db.scalar(known)
    if active is None:
        raise UnknownStrategy(
            f"no accounting strategy has the id {strategy_id}; "
            "one that was made just now is known here in a moment: ask again"
        )
    if not active:
        raise StrategySwitchedOff(
            f"{strategy_id} counts for nobody; one that was switched on just now is known here "
            "as such in a moment: ask again"
        )
