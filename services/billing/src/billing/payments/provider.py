"""What billing asks of a payment provider, and what it believes of the answers.

What a provider's notice says is never believed: it only makes us ask. Everything that counts comes
out of `look`.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, Protocol
from uuid import UUID

PAYMENT_ID_PATTERN: Final = r"^[A-Za-z0-9_]{1,100}$"  # stands in addresses that are called

PaymentStatus = Literal["open", "paid", "failed", "canceled", "expired"]
RefundStatus = Literal["asked", "confirmed", "failed"]


class ProviderFailed(Exception):
    """There is no answer that counts; it may be asked again. why: a sentence for staff."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class ProviderRefused(ProviderFailed):
    """It has answered that it will not do this, and did not."""


@dataclass(frozen=True, slots=True)
class NewPayment:
    """topup_id: told with the payment, and told again by whoever looks at it."""

    topup_id: UUID
    amount: Decimal
    currency: str
    description: str
    redirect_url: str
    notice_url: str | None  # where it tells that something has changed; None: we ask by ourselves


@dataclass(frozen=True, slots=True)
class NewRefund:
    refund_id: UUID
    amount: Decimal
    currency: str
    description: str


@dataclass(frozen=True, slots=True)
class Refund:
    """refund_id: ours; None: somebody made it at the provider."""

    id: str
    refund_id: UUID | None
    amount: Decimal
    currency: str
    status: RefundStatus


@dataclass(frozen=True, slots=True)
class Chargeback:
    """The customer's bank has taken the money back; reversed: and given again."""

    id: str
    amount: Decimal
    currency: str
    reason: str | None
    at: datetime
    reversed: bool


@dataclass(frozen=True, slots=True)
class Payment:
    """topup_id: ours, which it was made for; None: it was not made by us."""

    id: str
    topup_id: UUID | None
    status: PaymentStatus
    amount: Decimal
    currency: str
    checkout_url: str | None  # where the customer pays, as long as it is open
    refunds: tuple[Refund, ...] = ()
    chargebacks: tuple[Chargeback, ...] = ()


class Provider(Protocol):
    """Each raises ProviderFailed."""

    async def check(self) -> None:
        """Whether the secret is good."""

    async def create(self, new: NewPayment) -> Payment:
        """The same new payment asked for again soon is the same payment."""

    async def look(self, payment_id: str) -> Payment: ...

    async def refund(self, payment_id: str, new: NewRefund) -> Refund:
        """The same new refund asked for again soon is the same refund. Raises ProviderRefused."""


def told_id(metadata: Any, name: str) -> UUID | None:
    """An id of ours that came back with what it was sent with."""
    try:
        return UUID(metadata[name])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
