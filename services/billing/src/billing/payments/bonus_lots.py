"""Pure: what is left of each bonus, when bonus credit is spent the soonest expiring first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

NEVER: Final = datetime.max.replace(tzinfo=UTC)
ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Movement:
    """Of an account's bonus balance, in the order in which they were booked.

    bonus_id: given by this bonus or, negative, expired of it. None: spent, or, positive, given back
    by the cancellation of what was spent, which then does not expire.
    """

    amount: Decimal
    bonus_id: UUID | None = None
    expires_at: datetime | None = None


def left(movements: Iterable[Movement]) -> dict[UUID | None, Decimal]:
    """What is left of each bonus; None: of what does not expire because it was given back.

    The sum is the balance, which never falls below zero: what the ledger would take beyond it comes
    out of money.
    """
    lots: dict[UUID | None, Decimal] = {}
    ends: dict[UUID | None, datetime] = {None: NEVER}
    for one in movements:
        if one.amount > 0:
            lots[one.bonus_id] = lots.get(one.bonus_id, ZERO) + one.amount
            if one.bonus_id is not None:
                ends[one.bonus_id] = one.expires_at or NEVER
        elif one.bonus_id is not None:
            lots[one.bonus_id] = lots.get(one.bonus_id, ZERO) + one.amount
        else:
            _spend(lots, ends, -one.amount)
    return {of: amount for of, amount in lots.items() if amount}


def _spend(
    lots: dict[UUID | None, Decimal], ends: dict[UUID | None, datetime], amount: Decimal
) -> None:
    # Dicts keep the order of giving, and the sort is stable: of those that end alike the oldest.
    for of in sorted(lots, key=lambda lot: ends[lot]):
        taken = min(lots[of], amount)
        lots[of] -= taken
        amount -= taken
