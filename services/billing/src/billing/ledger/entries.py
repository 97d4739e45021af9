"""Pure: what is booked: amounts on accounts that sum to zero.

Above zero is a credit (what the operator owes or has earned), below zero a debit (what it has or is
owed): a top-up of 50 by bank is +50 on the customer's account and -50 on the bank's; a session that
costs 11.90 is -11.90 on the customer's, +10.00 on revenue, +1.90 on VAT.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple
from uuid import UUID, uuid5

OwnerKind = Literal["user", "company", "card", "partner"]
AccountKind = Literal[
    "customer", "revenue", "vat", "cash", "bank", "provider", "fees", "bonus_expense", "write_off",
    "suspense",
]  # fmt: skip
JournalKind = Literal[
    "record", "top_up", "refund", "chargeback", "bonus", "bonus_expired", "write_off", "fee",
    "adjustment",
]  # fmt: skip
# bonus: what the operator gave. It is spent before money, and never paid out.
Purse = Literal["money", "bonus"]

ZERO: Final = Decimal(0)


class Own(NamedTuple):
    """One of the operator's own accounts; there once it is first posted to.

    detail: what there is several of: the VAT rate, the payment provider.
    """

    kind: AccountKind
    detail: str = ""

    def account_id(self, operator_id: UUID, currency: str) -> UUID:
        """Always the same, so that nobody has to look it up."""
        return uuid5(operator_id, f"{self.kind}/{self.detail}/{currency}")


class Amount(NamedTuple):
    """One posting. account: a customer's by its id, or the operator's own."""

    account: UUID | Own
    amount: Decimal
    purse: Purse = "money"


class Unbalanced(ValueError):
    """The amounts of an entry do not sum to zero."""


@dataclass(frozen=True)
class Entry:
    """One thing that happened. event_id: what; booked once an operator, however often it is told.

    Raises Unbalanced. Amounts of 0 are left out.
    """

    event_id: str
    kind: JournalKind
    at: datetime
    currency: str
    amounts: tuple[Amount, ...]
    memo: str = ""
    by: str = "billing"  # the login of the staff, or the service
    record_id: UUID | None = None
    payment_id: UUID | None = None

    def __post_init__(self) -> None:
        if total := sum((one.amount for one in self.amounts), ZERO):
            raise Unbalanced(f"{self.event_id} is off by {total}")

    def postings(self, operator_id: UUID) -> list[tuple[UUID, Purse, Decimal]]:
        """By account and purse, each once, in an order that is everybody's, so that two that post
        to the same accounts never wait for each other in a circle.
        """
        sums: dict[tuple[UUID, Purse], Decimal] = {}
        for named, amount, purse in self.amounts:
            account = _id(named, operator_id, self.currency)
            sums[account, purse] = sums.get((account, purse), ZERO) + amount
        return sorted((*key, amount) for key, amount in sums.items() if amount)


def _id(account: UUID | Own, operator_id: UUID, currency: str) -> UUID:
    return account.account_id(operator_id, currency) if isinstance(account, Own) else account
