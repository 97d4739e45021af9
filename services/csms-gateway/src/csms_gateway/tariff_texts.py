"""Pure: a tariff of billing's in words, for the display of a station (OCPP 2.x, I01 and I06).

A text that does not fit is none: a price that was cut off would be another price.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.money import plain


@dataclass(frozen=True, slots=True)
class Prices:
    tariff_id: UUID
    name: str
    valid_from: datetime
    currency: str
    tax_included: bool
    vat_percent: Decimal
    energy_price: Decimal  # per kWh
    time_price: Decimal  # per minute
    start_fee: Decimal


class Words(NamedTuple):
    point: str
    between: str  # prices: German numbers have a comma of their own
    session: str
    included: str
    excluded: str
    tax: str


# All of it is ASCII, for displays that know nothing else.
LANGUAGES: Final = {
    "en": Words(".", ", ", "per session", "incl.", "plus", "VAT"),
    "de": Words(",", "; ", "je Ladevorgang", "inkl.", "zzgl.", "MwSt."),
}
DEFAULT: Final = "en"


def describe(prices: Prices, language: str = DEFAULT) -> str:
    """For people, in AFIR's order: kWh, minute, session."""
    words, money = LANGUAGES[language], prices.currency

    def number(value: Decimal) -> str:
        return plain(value).replace(".", words.point)

    parts = [f"{number(prices.energy_price)} {money}/kWh"]
    if prices.time_price:
        parts.append(f"{number(prices.time_price)} {money}/min")
    if prices.start_fee:
        parts.append(f"{number(prices.start_fee)} {money} {words.session}")
    tax = words.included if prices.tax_included else words.excluded
    parts.append(f"{tax} {number(prices.vat_percent)} % {words.tax}")
    return words.between.join(parts)


@dataclass(frozen=True, slots=True)
class Display:
    """What a station can show of a text."""

    text_format: str
    language: str
    characters_max: int | None


def display(shows_cost: bool | None, told: Mapping[str, str | None]) -> Display | None:
    """Of a station that supports tariffs or messages (I01.FR.02); None: of no other.

    shows_cost: what staff said of it; told: the values of its variables, by
    component.variable.instance in lower case.
    """
    tariffs = _enabled(told, "tariffcostctrlr", "tariff")
    messages = _enabled(told, "displaymessagectrlr", "")
    if not (messages or (shows_cost if tariffs is None else tariffs)):
        return None
    formats = told.get("displaymessagectrlr.supportedformats.")
    able = {one.strip().upper() for one in (formats or "UTF8").split(",")}
    text_format = next((one for one in ("UTF8", "ASCII") if one in able), None)
    if text_format is None:
        return None
    language = (told.get("displaymessagectrlr.language.") or DEFAULT).lower()[:2]
    limits = (
        told.get("displaymessagectrlr.personalmessagesize."),
        told.get("ocppcommctrlr.fieldlength.messagecontenttype.content"),
    )
    return Display(
        text_format,
        language if language in LANGUAGES else DEFAULT,
        min((int(one) for one in limits if one and one.isdecimal()), default=None),
    )


def _enabled(told: Mapping[str, str | None], component: str, instance: str) -> bool | None:
    """Enabled is what counts; a station that has no such switch says only that it is Available."""
    for variable in ("enabled", "available"):
        value = told.get(f"{component}.{variable}.{instance}")
        if value is not None:
            return value.lower() == "true"
    return None


def messages(prices: Prices, shown: Display) -> list[dict[str, Any]]:
    """MessageContentType, one a language, the station's own first; none if that does not fit."""
    languages = sorted(LANGUAGES, key=lambda one: one != shown.language)
    texts = [(one, describe(prices, one)) for one in languages]
    most = shown.characters_max
    found = [
        {"format": shown.text_format, "language": language, "content": text}
        for language, text in texts
        if most is None or len(text) <= most
    ]
    return found if found and found[0]["language"] == shown.language else []
