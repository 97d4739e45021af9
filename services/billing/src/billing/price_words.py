"""Pure: a price in words, for the display that a driver reads, in AFIR's order: kWh, minute,
session, other; then what is taken off, and the tax.

What is not said is free, so every condition is said.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from billing import holes
from billing.rating.model import (
    Component,
    Dimension,
    IdleFee,
    Limit,
    Modifier,
    Restrictions,
    Tariff,
    TaxTreatment,
    Window,
)
from billing.rating.totals import net_tariff
from common import price_words as words
from common.events import PriceLine
from common.money import plain, to_cents

Part = Literal["energy", "time", "session", "other", "discount", "tax"]
Said = Iterator[tuple[Part, str]]
Unit = Callable[[Decimal, str, str], str]

HOUR_MIN: Final = Decimal(60)
DIGITS: Final = Decimal("0.0001")  # of a price a minute; one that needs more is told an hour


class Phrases(NamedTuple):
    otherwise: str
    free: str
    days: tuple[str, ...]
    since: str
    until: str
    over: str  # an amount of energy, current, power: from it on
    below: str
    after: str  # a time of the session
    within: str
    charging: str
    parked: str
    reservation: str
    least: str
    most: str
    not_: str
    for_: str
    since_start: str
    since_charged: str
    steps: str
    reverse: str
    untaxed: str
    dimensions: dict[Dimension, str]


PHRASES: Final = {
    "en": Phrases(
        "otherwise", "free", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), "from", "until",
        "from", "up to", "after", "in the first", "while charging", "while parked", "reservation",
        "at least", "at most", "not", "for", "from the start", "without charging", "in steps of",
        "VAT: reverse charge", "no VAT",
        {"ENERGY": "energy", "TIME": "time", "PARKING_TIME": "parking", "FLAT": "session fee"},
    ),
    "de": Phrases(
        "sonst", "kostenlos", ("Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"), "ab", "bis",
        "ab", "bis", "nach", "in den ersten", "beim Laden", "beim Parken", "Reservierung",
        "mindestens", "hoechstens", "nicht", "auf", "ab Beginn", "ohne Laden", "in Schritten von",
        "MwSt.: Reverse Charge", "ohne MwSt.",
        {"ENERGY": "Energie", "TIME": "Zeit", "PARKING_TIME": "Parken", "FLAT": "Startpreis"},
    ),
}  # fmt: skip


def lines(
    tariff: Tariff,
    modifiers: Sequence[Modifier] = (),
    time_zone: tzinfo | None = None,
    *,
    free: bool = False,
    tax: TaxTreatment = "as_tariff",
) -> tuple[PriceLine, ...]:
    """In every language. time_zone: of the moments at which modifiers begin and end; None: UTC.

    tax: how it is charged; companies are told what they are charged, which is without VAT.
    """
    if tax != "as_tariff":
        tariff, modifiers = net_tariff(tariff, modifiers)
    said = {
        language: list(_said(tariff, modifiers, time_zone, language, free, tax))
        for language in words.LANGUAGES
    }
    first = said[words.DEFAULT]
    return tuple(
        PriceLine(part=part, texts={language: said[language][at][1] for language in said})
        for at, (part, _) in enumerate(first)
    )


def costs_nothing(tariff: Tariff) -> bool:
    """Whether nobody can owe anything by it."""
    least = tariff.min_price
    fixed = least and (least.excl_vat or least.incl_vat)
    prices = (one.price for element in tariff.elements for one in element.components)
    return not (any(prices) or fixed or tariff.idle_fee)


def _said(
    tariff: Tariff,
    modifiers: Sequence[Modifier],
    time_zone: tzinfo | None,
    language: str,
    free: bool,
    tax: TaxTreatment,
) -> Said:
    if free:
        yield "other", words.LANGUAGES[language].free
        return
    if energy := _dimension(tariff, "ENERGY", words.kwh, language):
        yield "energy", energy
    yield from _times(tariff, language)
    if (flat := _dimension(tariff, "FLAT", words.session, language)) and _any(tariff, "FLAT"):
        yield "session", flat
    yield from _others(tariff, language)
    for modifier in modifiers:
        yield "discount", _discount(modifier, tariff.currency, time_zone, language)
    phrases = PHRASES[language]
    yield "tax", phrases.reverse if tax == "reverse_charge" else _tax(tariff, language)


def _times(tariff: Tariff, language: str) -> Said:
    phrases = PHRASES[language]
    charging, parked = (
        _dimension(tariff, one, _minute, language) if _any(tariff, one) else None
        for one in ("TIME", "PARKING_TIME")
    )
    if charging and charging == parked:
        yield "time", charging
        return
    for text, when in ((charging, phrases.charging), (parked, phrases.parked)):
        if text:
            yield "time", f"{text} {when}"


def _any(tariff: Tariff, dimension: Dimension) -> bool:
    return any(component.price for component, _ in _components(tariff, dimension))


def _components(tariff: Tariff, dimension: Dimension) -> Iterator[tuple[Component, Restrictions]]:
    """Those that can count, in their order: the first that matches does."""
    for element in tariff.elements:
        if element.restrictions.reservation:
            continue
        for component in element.components:
            if component.type == dimension:
                yield component, element.restrictions
                if element.restrictions == Restrictions():
                    return
                break


def _dimension(tariff: Tariff, dimension: Dimension, unit: Unit, language: str) -> str | None:
    phrases = PHRASES[language]
    pieces: list[str] = []
    always = False
    components = list(_components(tariff, dimension))
    for component, restrictions in components:
        price = unit(component.price, tariff.currency, language)
        always = restrictions == Restrictions()
        conditions = [_conditions(restrictions, language), _steps(component, language)]
        if said := ", ".join(one for one in conditions if one):
            price += f" ({said})"
        pieces.append(f"{phrases.otherwise} {price}" if always and pieces else price)
    # Energy that has a price wherever it may flow is free nowhere.
    tiled = dimension == "ENERGY" and holes.none_in(tuple(one for _, one in components))
    if pieces and not always and not tiled:
        pieces.append(f"{phrases.otherwise} {phrases.free}")
    return words.sentence(pieces, language) if pieces else None


def _steps(one: Component, language: str) -> str:
    """Beyond the Wh and the second that everything is counted by."""
    if one.type == "FLAT" or one.step_size <= 1:
        return ""
    by, unit = (1000, "kWh") if one.type == "ENERGY" else (60, "min")
    return f"{PHRASES[language].steps} {_short(Decimal(one.step_size) / by, language)} {unit}"


def _minute(an_hour: Decimal, currency: str, language: str) -> str:
    a_minute = an_hour / HOUR_MIN
    if a_minute.quantize(DIGITS) != a_minute:
        return f"{words.number(an_hour, language)} {currency}/h"
    if a_minute == to_cents(a_minute):
        a_minute = to_cents(a_minute)
    return words.minute(a_minute, currency, language)


def _conditions(given: Restrictions, language: str) -> str:
    phrases = PHRASES[language]

    def amount(value: Decimal | int, by: int, unit: str) -> str:
        return f"{_short(Decimal(value) / by, language)} {unit}"

    found = [_clock(given.start_minute, given.end_minute), _days(given.weekdays, language)]
    if given.start_date:
        found.append(f"{phrases.since} {given.start_date}")
    if given.end_date:
        found.append(f"{phrases.until} {given.end_date - timedelta(days=1)}")
    for least, most, by, unit in (
        (given.min_wh, given.max_wh, 1000, "kWh"),
        (given.min_current_a, given.max_current_a, 1, "A"),
        (given.min_power_w, given.max_power_w, 1000, "kW"),
    ):
        if least is not None:
            found.append(f"{phrases.over} {amount(least, by, unit)}")
        if most is not None:
            found.append(f"{phrases.below} {amount(most, by, unit)}")
    if given.min_duration_s is not None:
        found.append(f"{phrases.after} {amount(given.min_duration_s, 60, 'min')}")
    if given.max_duration_s is not None:
        found.append(f"{phrases.within} {amount(given.max_duration_s, 60, 'min')}")
    return ", ".join(one for one in found if one)


def _clock(start: int | None, end: int | None) -> str:
    if start is None and end is None:
        return ""
    return f"{_hour(start or 0)}-{_hour(end or 0)}"


def _hour(minute: int) -> str:
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def _days(weekdays: frozenset[int] | None, language: str) -> str:
    if weekdays is None:
        return ""
    names, days = PHRASES[language].days, sorted(weekdays)
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{names[days[0]]}-{names[days[-1]]}"
    return " ".join(names[day] for day in days)


def _short(value: Decimal, language: str) -> str:
    """Without the zeros at its end: 10, 0.5."""
    text = plain(value)
    return words.number(Decimal(text.rstrip("0").rstrip(".") if "." in text else text), language)


def _others(tariff: Tariff, language: str) -> Said:
    phrases, money = PHRASES[language], tariff.currency
    for element in tariff.elements:
        if element.restrictions.reservation is None:
            continue
        for one in element.components:
            unit: Unit = {"ENERGY": words.kwh, "FLAT": words.session}.get(one.type, _minute)
            yield "other", f"{phrases.reservation}: {unit(one.price, money, language)}"
    if tariff.idle_fee:
        yield "other", _idle(tariff.idle_fee, money, language)
    for dimension, cap in tariff.caps.items():
        name = phrases.dimensions[dimension]
        yield "other", f"{name} {phrases.most} {words.number(cap, language)} {money}"
    for limit, phrase in ((tariff.min_price, phrases.least), (tariff.max_price, phrases.most)):
        if limit and (amount := _limit(limit, tariff, language)):
            yield "other", f"{phrase} {amount}"


def _limit(limit: Limit, tariff: Tariff, language: str) -> str | None:
    """As the tariff's prices are, net or gross; where it is said of the other and several rates
    lie between them, as it is said.
    """
    own, other = limit.incl_vat, limit.excl_vat
    if not tariff.tax_included:
        own, other = other, own
    if own is None and other is None:
        return None
    rates = {rate or Decimal(0) for rate in _rates(tariff)}
    of = words.LANGUAGES[language]
    more = ""
    if own is None and other is not None and len(rates) > 1:
        own, more = other, f" {of.excluded if tariff.tax_included else of.included} {of.tax}"
    elif own is None and other is not None:
        factor = 1 + max(rates) / 100
        own = to_cents(other * factor if tariff.tax_included else other / factor)
    assert own is not None
    return f"{words.number(own, language)} {tariff.currency}{more}"


def _rates(tariff: Tariff) -> set[Decimal | None]:
    rates = {one.vat_percent for element in tariff.elements for one in element.components}
    return rates | {tariff.idle_fee.vat_percent} if tariff.idle_fee else rates


def _idle(fee: IdleFee, currency: str, language: str) -> str:
    phrases = PHRASES[language]
    found = words.minute(fee.price_per_min, currency, language)
    if fee.counts == "parking":
        found += f" {phrases.parked}"
    if fee.after_min:
        of_charging = fee.after == "charging_end"
        since = phrases.since_charged if of_charging else phrases.since_start
        found += f" {phrases.after} {fee.after_min} min {since}"
    limits = []
    if fee.quiet:
        limits.append(f"{phrases.not_} {_clock(*fee.quiet)}")
    if fee.max_amount is not None:
        limits.append(f"{phrases.most} {words.number(fee.max_amount, language)} {currency}")
    return f"{found} ({', '.join(limits)})" if limits else found


def _discount(modifier: Modifier, currency: str, time_zone: tzinfo | None, language: str) -> str:
    phrases = PHRASES[language]
    of = [one for one in phrases.dimensions if one in modifier.components]
    names = ", ".join(phrases.dimensions[one] for one in of)
    if modifier.kind == "free":
        what = f"{phrases.free} ({names})"
    elif modifier.kind == "percent":
        what = f"-{_short(modifier.amount, language)} % ({names})"
    else:
        sign = "-" if modifier.kind == "absolute" else ""
        units: dict[Dimension, Unit] = {"ENERGY": words.kwh, "FLAT": words.session}
        prices = [units.get(one, _minute)(modifier.amount, currency, language) for one in of]
        what = words.sentence([sign + one for one in dict.fromkeys(prices)], language)
    when = _window(modifier.window, time_zone, language)
    quota = ""
    if modifier.quota:
        by, unit = {"wh": (1000, "kWh"), "s": (60, "min"), "amount": (1, currency)}[
            modifier.quota.unit
        ]
        quota = f"{phrases.for_} {_short(modifier.quota.left / by, language)} {unit}"
    rest = ", ".join(one for one in (when, quota) if one)
    return f"{_ascii(modifier.name)}: {what}" + (f", {rest}" if rest else "")


def _window(window: Window, time_zone: tzinfo | None, language: str) -> str:
    phrases = PHRASES[language]

    def moment(at: datetime) -> str:
        return f"{at.astimezone(time_zone) if time_zone else at:%Y-%m-%d %H:%M}"

    found = [_clock(window.start_minute, window.end_minute), _days(window.weekdays, language)]
    if window.from_at:
        found.append(f"{phrases.since} {moment(window.from_at)}")
    if window.until_at:
        found.append(f"{phrases.until} {moment(window.until_at)}")
    return " ".join(one for one in found if one)


def _tax(tariff: Tariff, language: str) -> str:
    rates = _rates(tariff)
    known = rates - {None}
    if not known:
        return PHRASES[language].untaxed
    if len(rates) == 1:
        (rate,) = known
        assert rate is not None
        return words.tax(rate, language, included=tariff.tax_included)
    of = words.LANGUAGES[language]
    return f"{of.included if tariff.tax_included else of.excluded} {of.tax}"


def _ascii(text: str) -> str:
    told = text.translate({0xE4: "ae", 0xF6: "oe", 0xFC: "ue", 0xDF: "ss",
                           0xC4: "Ae", 0xD6: "Oe", 0xDC: "Ue"})  # fmt: skip
    return unicodedata.normalize("NFKD", told).encode("ascii", "ignore").decode()
