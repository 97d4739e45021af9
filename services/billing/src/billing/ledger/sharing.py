"""Pure: how what a record costs is shared between bonus, money and what the operator bears."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from billing.ledger.entries import ZERO
from common.money import plain

Vat = Decimal | Literal["reverse_charge"]

# How far below zero a wallet goes for a stop that came late, unless the account says otherwise.
FLOOR_DEFAULT: Final = Decimal(50)


@dataclass(frozen=True)
class Share:
    """Sums that the customer's account is charged; below zero they are given back."""

    bonus: Decimal
    money: Decimal
    borne: Decimal = ZERO  # of the money, what is given back at once: it was below the floor


def charged(
    total: Decimal, *, posted: Decimal, bonus: Decimal, lowest: Decimal | None = None
) -> Share:
    """Bonus first. posted, bonus: what the account has; lowest: its floor, if it has one."""
    of_bonus = min(max(total, ZERO), bonus)
    money = total - of_bonus
    if lowest is None or money <= 0:
        return Share(of_bonus, money)
    # What was below the floor before is owed as it is.
    below = lowest - (posted - money)
    return Share(of_bonus, money, min(max(below, ZERO), money))


def given_back(before: Share) -> Share:
    """Of a cancellation: each from where it came."""
    return Share(-before.bonus, -before.money, -before.borne)


def vat_account(vat_percent: Decimal | None, tax: str) -> str:
    """Which of the accounts of VAT and revenue: that of the rate; none, where no VAT applies."""
    if tax == "reverse_charge":
        return "reverse_charge"
    return "none" if vat_percent is None else plain(vat_percent.normalize())
