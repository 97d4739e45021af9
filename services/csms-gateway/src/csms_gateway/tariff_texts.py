"""Pure: a price of billing's in words, for the display of a station (OCPP 2.x, I01 and I06).

A text that does not fit is none: a price that was cut off would be another price.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from common import price_words
from common.events import PriceLine, SessionPriceSet, TariffPrices
from common.price_words import DEFAULT, LANGUAGES

CONTENT_MAX: Final = 512  # characters (2.0.1, MessageContentType.content; 2.1 has more)


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
    definition: dict[str, Any] | None = None  # events.TariffPrices; the three are the highest in it
    lines: tuple[PriceLine, ...] = ()  # (): the three prices say it all

    def to_told(self) -> TariffPrices:
        return TariffPrices.model_validate(self, from_attributes=True)


# By language: the whole text, then those that may stand for it where that is too long.
Texts = Mapping[str, Sequence[str]]


def describe(prices: Prices, language: str = DEFAULT) -> str:
    """For people, in AFIR's order: kWh, minute, session."""
    if prices.lines:
        return _sentence(language, prices.lines)
    money = prices.currency
    parts = [price_words.kwh(prices.energy_price, money, language)]
    if prices.time_price:
        parts.append(price_words.minute(prices.time_price, money, language))
    if prices.start_fee:
        parts.append(price_words.session(prices.start_fee, money, language))
    parts.append(price_words.tax(prices.vat_percent, language, included=prices.tax_included))
    return price_words.sentence(parts, language)


def texts_of(prices: Prices) -> Texts:
    return {language: (describe(prices, language),) for language in LANGUAGES}


def texts_of_session(price: SessionPriceSet) -> Texts:
    """Without its discounts if it does not fit: what is owed is then less than what was read."""
    full = [line for line in price.lines if line.part != "discount"]
    return {
        language: (_sentence(language, price.lines), _sentence(language, full))
        for language in LANGUAGES
    }


CHECKED: Final[Texts] = {language: (words.checked,) for language, words in LANGUAGES.items()}


def _sentence(language: str, lines: Iterable[PriceLine]) -> str:
    return price_words.sentence([line.texts[language] for line in lines], language)


@dataclass(frozen=True, slots=True)
class Display:
    """What a station can show of a text."""

    text_format: str
    language: str
    characters_max: int | None
    several: bool = False  # 1.6: it takes texts in more languages than its own


def display(shows_cost: bool | None, told: Mapping[str, str | None]) -> Display | None:
    """Of a station that supports tariffs or messages (I01.FR.02), 1.6 too; None: of no other.

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
    # 1.6 has keys without a component (costmsg.py).
    language = told.get("displaymessagectrlr.language.") or told.get(".language.") or DEFAULT
    language = language.lower()[:2]
    several = (told.get(".custommultilanguagemessages.") or "").lower() == "true"
    limits = (
        told.get("displaymessagectrlr.personalmessagesize."),
        told.get("ocppcommctrlr.fieldlength.messagecontenttype.content"),
    )
    return Display(
        text_format,
        language if language in LANGUAGES else DEFAULT,
        min((int(one) for one in limits if one and one.isdecimal()), default=None),
        several,
    )


def _enabled(told: Mapping[str, str | None], component: str, instance: str) -> bool | None:
    """Enabled is what counts; a station that has no such switch says only that it is Available."""
    for variable in ("enabled", "available"):
        value = told.get(f"{component}.{variable}.{instance}")
        if value is not None:
            return value.lower() == "true"
    return None


def messages(texts: Texts, shown: Display) -> list[dict[str, Any]]:
    """MessageContentType, one a language, the station's own first; none if that does not fit."""
    languages = sorted(LANGUAGES, key=lambda one: one != shown.language)
    limit = shown.characters_max
    most = CONTENT_MAX if limit is None else min(limit, CONTENT_MAX)
    found = [
        {"format": shown.text_format, "language": language, "content": text}
        for language in languages
        for text in [one for one in texts[language] if len(one) <= most][:1]
    ]
    return found if found and found[0]["language"] == shown.language else []
