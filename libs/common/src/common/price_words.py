"""Pure: how prices are said to people, in the languages that displays are told.

All of it is ASCII, for displays that know nothing else.
"""

from decimal import Decimal
from typing import Final, NamedTuple

from common.money import plain


class Words(NamedTuple):
    point: str
    between: str  # prices: German numbers have a comma of their own
    session: str
    included: str
    excluded: str
    tax: str
    free: str
    checked: str  # instead of a sum that staff must decide about first


LANGUAGES: Final = {
    "en": Words(
        point=".", between=", ", session="per session", included="incl.", excluded="plus",
        tax="VAT", free="free of charge", checked="The amount is being checked",
    ),
    "de": Words(
        point=",", between="; ", session="je Ladevorgang", included="inkl.", excluded="zzgl.",
        tax="MwSt.", free="kostenlos", checked="Der Betrag wird noch geprueft",
    ),
}  # fmt: skip
DEFAULT: Final = "en"


def number(value: Decimal, language: str) -> str:
    return plain(value).replace(".", LANGUAGES[language].point)


def kwh(price: Decimal, currency: str, language: str) -> str:
    return f"{number(price, language)} {currency}/kWh"


def minute(price: Decimal, currency: str, language: str) -> str:
    return f"{number(price, language)} {currency}/min"


def session(price: Decimal, currency: str, language: str) -> str:
    return f"{number(price, language)} {currency} {LANGUAGES[language].session}"


def tax(vat_percent: Decimal, language: str, *, included: bool) -> str:
    words = LANGUAGES[language]
    sign = words.included if included else words.excluded
    return f"{sign} {number(vat_percent, language)} % {words.tax}"


def sentence(parts: list[str], language: str) -> str:
    return LANGUAGES[language].between.join(parts)
