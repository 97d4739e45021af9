"""Pure: the price that a station shows at a moment, and when the clock changes it next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from billing.rating.calendar import flips
from billing.rating.course import Course
from billing.rating.lines import unit_prices
from billing.rating.model import Modifier, Tariff, Window
from billing.rating.periods import usage

# Whoever shows it is told again at the latest then; a price that changes later is news by then.
AHEAD: Final = timedelta(days=2)
HOUR_MIN: Final = Decimal(60)
ONE: Final = Decimal(1)


@dataclass(frozen=True)
class Shown:
    """energy: a kWh; time: an hour of charging; session: once."""

    energy: Decimal
    time: Decimal
    session: Decimal


def shown_at(
    tariff: Tariff,
    modifiers: Sequence[Modifier],
    at: datetime,
    time_zone: tzinfo,
    power_w: int | None = None,
) -> Shown:
    """What a session that begins then pays for its first units, by what prices sessions.

    power_w: what the station can give at most. If that is not known, an element that asks for some
    power does not count.
    """
    powers = None if power_w is None else ((0, Decimal(power_w)),)
    began = Course(at, time_zone, (0, 1), (Decimal(0), ONE), ((0, "CHARGING"),), powers=powers)
    found = unit_prices(usage(began, tariff, modifiers), tariff)
    return Shown(found["ENERGY"], found["TIME"], found["FLAT"])


def next_change(
    tariff: Tariff,
    modifiers: Sequence[Modifier],
    at: datetime,
    time_zone: tzinfo,
    others: Iterable[datetime] = (),
    power_w: int | None = None,
) -> datetime | None:
    """When the clock changes what is shown; None: not within AHEAD.

    others: moments at which something else may change it, as the next version of the tariff: the
    first of these counts whatever is shown then.
    """
    ends = at + AHEAD
    fixed = min((one for one in others if at < one < ends), default=ends)
    now = shown_at(tariff, modifiers, at, time_zone, power_w)
    for moment in sorted(_flips(tariff, modifiers, at, fixed, time_zone)):
        if shown_at(tariff, modifiers, moment, time_zone, power_w) != now:
            return moment
    return fixed if fixed < ends else None


def _flips(
    tariff: Tariff, modifiers: Sequence[Modifier], at: datetime, ends: datetime, time_zone: tzinfo
) -> set[datetime]:
    windows = [
        (one.start_minute, one.end_minute, one.weekdays or one.start_date or one.end_date)
        for one in (element.restrictions for element in tariff.elements)
    ]
    windows += [(one.start_minute, one.end_minute, one.weekdays) for one in _windows(modifiers)]
    minutes: set[int] = set()
    for start, end, days in windows:
        if start is not None or end is not None:
            minutes |= {start or 0, end or 0}
        if days:
            minutes.add(0)
    found = flips(minutes, at, ends, time_zone)
    named = {one for window in _windows(modifiers) for one in (window.from_at, window.until_at)}
    return found | {one for one in named if one is not None and at < one < ends}


def _windows(modifiers: Iterable[Modifier]) -> list[Window]:
    return [one.window for one in modifiers]


def a_minute(an_hour: Decimal) -> Decimal:
    """To four decimals, as prices are written."""
    return (an_hour / HOUR_MIN).quantize(Decimal("0.0001")).normalize() + Decimal(0)
