"""What a session costs. Pure: how it went, a tariff and modifiers in, priced lines and totals out.

Exact decimals throughout; the order of work: tariff, absolute modifiers, percentages, free quotas
and events, caps, the least and the most, VAT, the one rounding to cents. Each line is rounded half
up to 4 decimals, the session's total half up to cents once, so the total is the sum of its lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing.rating.course import Course, Told, course, seconds
from billing.rating.lines import Line, explain, rounded, spread
from billing.rating.model import Modifier, Tariff, TaxTreatment
from billing.rating.periods import LENGTH_MAX_S, by_the_course, usage
from billing.rating.totals import Tax, Total, as_net, limited, total
from common.events import RecordLine

__all__ = [
    "ACCEPTED",
    "LENGTH_MAX",
    "Priced",
    "Tax",
    "Total",
    "free",
    "free_of_charge",
    "price",
    "rate",
]

ENERGY_MIN_WH: Final = 50  # less is a faulty contact or a car that never charged
DURATION_MIN_S: Final = 60
ACCEPTED: Final = "Accepted"  # OCPP's word for a token that may charge
# What lasted longer is a mistake of somebody's clock, and is never priced.
LENGTH_MAX: Final = timedelta(seconds=LENGTH_MAX_S)
ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Priced:
    """used: how much of each modifier's quota went, in the quota's unit."""

    lines: tuple[RecordLine, ...]
    total: Total
    used: dict[UUID, Decimal]
    tax_included: bool  # what the lines' amounts are: gross or net


def price(
    told: Told,
    tariff: Tariff,
    modifiers: Sequence[Modifier] = (),
    tax: TaxTreatment = "as_tariff",
    *,
    token_accepted: bool = True,
) -> Priced:
    """A session as it was told. Raises ValueError for one that cannot be: it is never priced."""
    went = course(told, evenly=not by_the_course(tariff, modifiers))
    reason = free_of_charge(told, token_accepted=token_accepted)
    return rate(went, tariff, modifiers, tax) if reason is None else free(told, tariff, reason)


def rate(
    went: Course,
    tariff: Tariff,
    modifiers: Sequence[Modifier] = (),
    tax: TaxTreatment = "as_tariff",
) -> Priced:
    """By the tariff, however little it was. Raises ValueError for more than a year."""
    explained = explain(usage(went, tariff, modifiers), tariff)
    limits = limited(explained.lines, tariff)
    net, gross = limits.net, limits.gross
    lines = explained.lines
    tax_included = tariff.tax_included and tax == "as_tariff"
    if tax != "as_tariff":
        lines = as_net(lines, tariff, reverse_charge=tax == "reverse_charge")
    over = lines
    for bound in limits.bounds:
        change = bound.gross if tax_included else bound.net
        lines = [*lines, *spread(bound.kind, change, over, bound.rule)]
    if tax == "reverse_charge":
        gross = net
    other = (net if tax_included else gross) if limits.bounds and tax == "as_tariff" else None
    totals = total(lines, (net, gross), tax_included, other)
    return Priced(tuple(map(_told, lines)), totals, explained.used, tax_included)


def free_of_charge(told: Told, *, token_accepted: bool) -> str | None:
    """Why nothing is charged, not even the start fee; None if the session is charged."""
    length_s = seconds(told.started_at, told.ended_at)
    if told.energy_wh < ENERGY_MIN_WH and not token_accepted:
        return f"refused: the card was not accepted and {told.energy_wh} Wh were delivered"
    if told.energy_wh < ENERGY_MIN_WH:
        return f"below {ENERGY_MIN_WH} Wh nothing is charged: {told.energy_wh} Wh"
    if length_s < DURATION_MIN_S:
        return f"below {DURATION_MIN_S} s nothing is charged: {length_s} s"
    return None


def free(told: Told, tariff: Tariff, reason: str) -> Priced:
    """Nothing is owed; the one line says why."""
    rates = [one.vat_percent for of in tariff.elements for one in of.components]
    quantity = Decimal(told.energy_wh).scaleb(-3)
    line = Line("energy", quantity, "kWh", ZERO, ZERO, reason, rates[0] if rates else None)
    totals = total([line], (ZERO, ZERO), tariff.tax_included)
    return Priced((_told(line),), totals, {}, tariff.tax_included)


def _told(line: Line) -> RecordLine:
    # Not validated: all of it is our own, and that would cost as much as to reckon it.
    return RecordLine.model_construct(
        kind=line.kind,
        quantity=line.quantity if line.unit == "kWh" else rounded(line.quantity),
        unit=line.unit,
        unit_price=line.unit_price,
        amount=rounded(line.amount),
        rule=line.rule,
        vat_percent=line.vat_percent,
        modifier_id=line.modifier_id,
    )
