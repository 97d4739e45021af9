"""Pure: from how much there was of each price to lines that explain what it costs.

The amounts are as the tariff's prices are, net or gross. A line is rounded half up to 4 decimals;
the sums before that are exact.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal, NamedTuple, get_args
from uuid import UUID

from billing.rating.model import Dimension, Modifier, Tariff
from billing.rating.periods import Part, Usage
from common.money import plain

Unit = Literal["kWh", "min", "session"]
LineKind = Literal[
    "energy", "time", "parking", "start", "reservation", "idle", "discount", "event", "cap",
    "minimum", "maximum",
]  # fmt: skip

LINE_DIGITS: Final = Decimal("0.0001")
UNIT_DIGITS: Final = Decimal("0.000001")
TRACE: Final = Decimal("1E-12")
ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
# How many Wh or seconds an OCPI price is for, what people are shown, and its share of that.
PER: Final[dict[Dimension, Decimal]] = {
    "ENERGY": Decimal(1000), "TIME": Decimal(3600), "PARKING_TIME": Decimal(3600), "FLAT": ONE,
}  # fmt: skip
SHOWN: Final[dict[Dimension, tuple[LineKind, Unit, Decimal, str]]] = {
    "ENERGY": ("energy", "kWh", ONE, "a kWh"),
    "TIME": ("time", "min", Decimal(60), "a minute"),
    "PARKING_TIME": ("parking", "min", Decimal(60), "a minute of parking"),
    "FLAT": ("start", "session", ONE, "once a session"),
}
# Prices are shown in this order (AFIR, article 5): a kWh, a minute, a session, everything else.
ORDER: Final[tuple[LineKind, ...]] = get_args(LineKind)
OFF: Final = {
    "station": "of the station", "station_group": "of the station group",
    "user_group": "of the user group", "user": "of the user", "event": "event",
}  # fmt: skip


class Line(NamedTuple):
    """amount is exact; quantity is in unit."""

    kind: LineKind
    quantity: Decimal
    unit: Unit
    unit_price: Decimal
    amount: Decimal
    rule: str
    vat_percent: Decimal | None
    dimension: Dimension | None = None
    modifier_id: UUID | None = None


@dataclass
class Explained:
    lines: list[Line] = field(default_factory=list)
    # How much of a modifier's quota went, in the quota's unit.
    used: dict[UUID, Decimal] = field(default_factory=dict)


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(LINE_DIGITS, rounding=ROUND_HALF_UP)


def round_up_by_steps(usage: Usage) -> dict[int, Decimal]:
    """The excess of step_size, by the id of the part that takes it: once for energy, once for time.

    OCPI 2.2.1, mod_tariffs, step_size: it is of all the energy, or of the charging time or of the
    parking time, whichever had its turn last, at the price of its last period.
    """
    found = {}
    for part in usage.last.values():
        if part.dimension == "FLAT" or part.component is None:
            continue
        alike = [
            one.amount
            for one in usage.parts
            if one.dimension == part.dimension
            and one.reservation == part.reservation
            and one.component
        ]
        total, step = sum(alike, ZERO), Decimal(max(part.component.step_size, 1))
        found[id(part)] = (step - total % step) % step
    return found


def explain(usage: Usage, tariff: Tariff) -> Explained:
    """The lines of all parts, each with those of its modifiers, then caps and the idle fee."""
    found = Explained()
    excess = round_up_by_steps(usage)
    left = _quotas(usage.parts)
    gathered: dict[object, Line] = {}
    if not any(part.dimension == "ENERGY" for part in usage.parts):
        rate = highest_rate(tariff)
        gathered["energy"] = Line("energy", ZERO, "kWh", ZERO, ZERO, "no energy", rate, "ENERGY")
    for part in usage.parts:
        amount = part.amount + excess.get(id(part), ZERO)
        for line in _of_part(part, amount, tariff, left):
            _gather(gathered, line)
    found.lines = sorted(gathered.values(), key=_order)
    found.lines += _caps(found.lines, tariff)
    found.lines += _idle(usage, tariff)
    found.used = {
        one.id: one.quota.left - left[one.id] for one in _modifiers(usage.parts) if one.quota
    }
    return found


def unit_prices(usage: Usage, tariff: Tariff) -> dict[Dimension, Decimal]:
    """What a kWh, an hour or the session costs, modifiers included, of what was used: of each
    dimension as it was first. As the tariff's prices are; one that has no price is 0.
    """
    left, found = _quotas(usage.parts), dict.fromkeys(PER, ZERO)
    for part in reversed(usage.parts):
        lines = _of_part(part, PER[part.dimension], tariff, left)
        found[part.dimension] = sum((line.amount for line in lines), ZERO)
    return found


def _order(line: Line) -> int:
    return ORDER.index(line.kind)


def _modifiers(parts: Iterable[Part]) -> list[Modifier]:
    found = {one.id: one for part in parts for turn in part.turns for one in turn}
    return list(found.values())


def _quotas(parts: Iterable[Part]) -> dict[UUID, Decimal]:
    return {one.id: one.quota.left for one in _modifiers(parts) if one.quota}


def _gather(found: dict[object, Line], line: Line) -> None:
    """One line for what has the same price and the same reason."""
    key = (
        line.kind,
        line.dimension,
        line.unit_price,
        line.vat_percent,
        line.modifier_id,
        line.rule,
    )
    if (before := found.get(key)) is not None:
        line = before._replace(
            quantity=before.quantity + line.quantity, amount=before.amount + line.amount
        )
    found[key] = line


def _of_part(part: Part, amount: Decimal, tariff: Tariff, left: dict[UUID, Decimal]) -> list[Line]:
    """The lines of what each turn of its modifiers is there for."""
    if part.component is None:  # nothing is taken off, so nothing of a quota is used
        return _of_turn(part, amount, (), tariff, left)
    found: list[Line] = []
    *first, last = part.turns
    for turn in first:  # an exclusive one with a quota
        covered = _covered_amount(turn[0], part, amount, left)
        if covered:
            found += _of_turn(part, covered, turn, tariff, left)
        if covered == amount:
            return found
        left[turn[0].id] = ZERO  # no digit of a division stays
        amount -= covered
    return found + _of_turn(part, amount, last, tariff, left)


def _covered_amount(
    modifier: Modifier, part: Part, amount: Decimal, left: dict[UUID, Decimal]
) -> Decimal:
    """How much of a part is within what is left of a quota."""
    assert modifier.quota is not None
    if not left[modifier.id]:
        return ZERO
    whole = amount
    if modifier.quota.unit == "amount":
        assert part.component is not None
        whole = part.component.price * amount / PER[part.dimension]
    return amount if whole <= left[modifier.id] else amount * left[modifier.id] / whole


def _of_turn(
    part: Part,
    amount: Decimal,
    modifiers: Sequence[Modifier],
    tariff: Tariff,
    left: dict[UUID, Decimal],
) -> list[Line]:
    """The price of a part, then what each of its modifiers changes of it."""
    dimension, component = part.dimension, part.component
    kind, unit, share, words = SHOWN[dimension]
    quantity = amount / (PER[dimension] / share)
    if component is None:
        if dimension != "ENERGY":
            return []  # what has no price is free; of energy a record shows it
        rule = f"tariff {tariff.name}: no price for this energy"
        return [Line(kind, quantity, unit, ZERO, ZERO, rule, highest_rate(tariff), dimension)]
    unit_price = (component.price / share).quantize(UNIT_DIGITS, rounding=ROUND_HALF_UP).normalize()
    if unit_price == component.price / share:
        unit_price = component.price / share
    rest = component.price * amount / PER[dimension]
    if part.reservation:
        kind = "reservation"
    rule = f"tariff {tariff.name}: {plain(unit_price)} {tariff.currency} {words}"
    lines = [Line(kind, quantity, unit, unit_price, rest, rule, component.vat_percent, dimension)]
    for modifier in modifiers:
        covered = _covered(modifier, amount, rest, left)
        change = _change(modifier, rest, amount / PER[dimension], covered)
        if change:
            rest += change
            lines.append(_of_modifier(modifier, part, change, quantity * covered, tariff))
    return lines


def _covered(
    modifier: Modifier, amount: Decimal, rest: Decimal, left: dict[UUID, Decimal]
) -> Decimal:
    """Which share of a part a modifier is there for; takes it from its quota."""
    quota = modifier.quota
    if quota is None or not amount:
        return ONE
    whole = rest if quota.unit == "amount" else amount
    taken = min(whole, left[modifier.id])
    left[modifier.id] -= taken
    if whole:
        return taken / whole
    return ONE if left[modifier.id] else ZERO


def _change(modifier: Modifier, rest: Decimal, units: Decimal, covered: Decimal) -> Decimal:
    """What a modifier adds to what is left of a part's price; never below 0.

    units: of what the price is for, kWh, hours or the session.
    """
    if modifier.kind == "absolute":
        return -min(modifier.amount * units, rest) * covered
    if modifier.kind == "percent":
        return -rest * min(modifier.amount, Decimal(100)) / 100 * covered
    instead = modifier.amount * units if modifier.kind == "price" else ZERO
    return (instead - rest) * covered


def _of_modifier(
    modifier: Modifier, part: Part, change: Decimal, quantity: Decimal, tariff: Tariff
) -> Line:
    _, unit, share, words = SHOWN[part.dimension]
    assert part.component is not None
    per_unit = change / quantity if quantity else ZERO
    amount = plain((modifier.amount / share).normalize() + ZERO)
    said = {
        "absolute": f"{amount} {tariff.currency} off {words}",
        "percent": f"{plain(modifier.amount)} % off what is left",
        "price": f"{amount} {tariff.currency} {words} instead",
        "free": "free of charge",
    }[modifier.kind]
    return Line(
        "event" if modifier.scope == "event" else "discount",
        quantity,
        unit,
        per_unit.quantize(UNIT_DIGITS, rounding=ROUND_HALF_UP),
        change,
        f"{modifier.name} ({OFF[modifier.scope]}): {said}",
        part.component.vat_percent,
        part.dimension,
        modifier.id,
    )


def _caps(lines: Sequence[Line], tariff: Tariff) -> list[Line]:
    found = []
    for dimension, cap in tariff.caps.items():
        of_it = [line for line in lines if line.dimension == dimension]
        cost = sum((line.amount for line in of_it), ZERO)
        if cost > cap:
            rule = f"tariff {tariff.name}: {SHOWN[dimension][0]} costs {plain(cap)} at most"
            found += spread("cap", cap - cost, of_it, rule)
    return found


def spread(kind: LineKind, amount: Decimal, over: Sequence[Line], rule: str) -> list[Line]:
    """An amount over the VAT rates of lines, by what is under each; if that is nothing, all of it
    under the highest.
    """
    sums: dict[Decimal | None, Decimal] = {}
    for line in over:
        sums[line.vat_percent] = sums.get(line.vat_percent, ZERO) + line.amount
    sums = {rate: untraced(one) for rate, one in sums.items()}
    whole, rest, found = sum(sums.values(), ZERO), amount, []
    for index, (vat_percent, part) in enumerate(sorted(sums.items(), key=_rate)):
        last = index == len(sums) - 1
        share = rest if last else amount * part / whole if whole else ZERO
        rest -= share
        if share:
            found.append(Line(kind, ONE, "session", share, share, rule, vat_percent))
    return found


def highest_rate(tariff: Tariff) -> Decimal | None:
    """What a least price is taxed by where nothing has a price; None: nothing has VAT."""
    rates = (one.vat_percent for element in tariff.elements for one in element.components)
    return max((one for one in rates if one is not None), default=None)


def untraced(amount: Decimal) -> Decimal:
    """Without what divisions leave in the last digits where it should be nothing."""
    return ZERO if abs(amount) < TRACE else amount


def _rate(item: tuple[Decimal | None, Decimal]) -> Decimal:
    return ZERO if item[0] is None else item[0]


def _idle(usage: Usage, tariff: Tariff) -> list[Line]:
    fee = tariff.idle_fee
    if fee is None or not usage.idle_s:
        return []
    minutes = Decimal(usage.idle_s) / 60
    cost = fee.price_per_min * minutes
    since = "the beginning" if fee.after == "session_start" else "the end of charging"
    rule = (
        f"tariff {tariff.name}: {plain(fee.price_per_min)} {tariff.currency} a minute for "
        f"blocking the place, {fee.after_min} minutes after {since}"
    )
    found = [Line("idle", minutes, "min", fee.price_per_min, cost, rule, fee.vat_percent)]
    if fee.max_amount is not None and cost > fee.max_amount:
        rule = f"tariff {tariff.name}: blocking costs {plain(fee.max_amount)} at most"
        off = fee.max_amount - cost
        found.append(Line("cap", ONE, "session", off, off, rule, fee.vat_percent))
    return found
