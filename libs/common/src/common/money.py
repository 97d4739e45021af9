"""Amounts of money. Pure: exact decimals, one rounding rule."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

CENT = Decimal("0.01")
# ISO 4217, list one (SIX Financial Information): in use in 2026, without codes of funds and metals.
OF_HUNDREDTHS: Final = frozenset({
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT",
    "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF",
    "CNY", "COP", "CRC", "CUP", "CVE", "CZK", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB",
    "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GTQ", "GYD", "HKD", "HNL",
    "HTG", "HUF", "IDR", "ILS", "INR", "IRR", "JMD", "KES", "KGS", "KHR", "KPW", "KYD",
    "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT",
    "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK",
    "NPR", "NZD", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB",
    "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN",
    "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH",
    "USD", "UYU", "UZS", "VED", "VES", "WST", "XCD", "XCG", "YER", "ZAR", "ZMW", "ZWG",
})  # fmt: skip
OF_OTHER_PARTS: Final = frozenset({
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND",
    "VUV", "XAF", "XOF", "XPF", "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND",
})  # fmt: skip


def plain(value: Decimal) -> str:
    """Digits without an exponent: 12.30 stays 12.30, 1E+2 becomes 100."""
    return format(value, "f")


def digits(pattern: str, *, whole: bool = False) -> BeforeValidator:
    """Only a string of plain digits: a JSON number is a float in most writers.

    whole: a number without a point too, which no writer spoils.
    """

    def check(value: Any) -> Any:
        if whole and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"write it as a string of digits that matches {pattern}")
        return value

    return BeforeValidator(check)


def schema(pattern: str, example: str) -> WithJsonSchema:
    """What OpenAPI says of digits."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


# JSON carries decimals as strings: a JSON number is a float in most readers.
Exact = Annotated[Decimal, PlainSerializer(plain, return_type=str)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217", examples=["EUR"])]


def _in_use(code: str) -> str:
    if code in OF_OTHER_PARTS:
        raise ValueError(f"amounts are in hundredths, and {code} is not divided into them")
    if code not in OF_HUNDREDTHS:
        raise ValueError(f"{code} is no currency in use (ISO 4217)")
    return code


# What is written from now on; what is read back may be older than the list.
CurrencyIn = Annotated[Currency, AfterValidator(_in_use)]


def to_cents(amount: Decimal) -> Decimal:
    """Round half up, away from zero, to two places: the one rounding of a session's total."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


class Money(BaseModel):
    model_config = ConfigDict(frozen=True)

    amount: Exact = Field(examples=["12.34"])
    currency: Currency
