"""Amounts of money. Pure: exact decimals, one rounding rule."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

CENT = Decimal("0.01")


def plain(value: Decimal) -> str:
    """Digits without an exponent: 12.30 stays 12.30, 1E+2 becomes 100."""
    return format(value, "f")


# JSON carries decimals as strings: a JSON number is a float in most readers.
Exact = Annotated[Decimal, PlainSerializer(plain, return_type=str)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217", examples=["EUR"])]


def to_cents(amount: Decimal) -> Decimal:
    """Round half up, away from zero, to two places: the one rounding of a session's total."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


class Money(BaseModel):
    model_config = ConfigDict(frozen=True)

    amount: Exact = Field(examples=["12.34"])
    currency: Currency
