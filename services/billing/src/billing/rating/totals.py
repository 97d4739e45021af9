"""Pure: the least and the most a session costs, VAT, and the one rounding to cents.

A session's total is rounded half up to cents once, gross for consumers, net for companies; VAT is
taken from that total or put on it, so that net + VAT = gross to the cent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple

from billing.rating.lines import ONE, UNIT_DIGITS, Line, LineKind, rounded, untraced
from billing.rating.model import Dimension, Limit, Modifier, Tariff
from common.money import plain, to_cents

HUNDRED: Final = Decimal(100)
ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Tax:
    """Of one rate, to the cent; vat_percent None: no VAT applies."""

    vat_percent: Decimal | None
    net: Decimal
    vat: Decimal
    gross: Decimal


@dataclass(frozen=True, slots=True)
class Total:
    """To the cent; net + vat = gross, and each is the sum of its taxes."""

    net: Decimal
    vat: Decimal
    gross: Decimal
    taxes: tuple[Tax, ...]
    exact_net: Decimal  # before any rounding
    exact_gross: Decimal


class Bound(NamedTuple):
    """What a least or a greatest price adds, exact."""

    kind: LineKind
    net: Decimal
    gross: Decimal
    rule: str


class Limited(NamedTuple):
    """What a least or a greatest price changes, and exact net and gross then."""

    bounds: list[Bound]
    net: Decimal
    gross: Decimal


def limited(lines: Sequence[Line], tariff: Tariff) -> Limited:
    """Net and gross hold each for itself (OCPI 2.2.1, min_price and max_price).

    Not where something has no VAT: its net is its gross, and it must get no VAT of the rest. There
    net and gross change in one proportion, so far that both limits hold.
    """
    net, gross = _both(lines, tariff.tax_included)
    rates = _by_rate(lines) or {line.vat_percent: ZERO for line in lines}
    find = _bounds if all(rates) else _alike
    found: list[Bound] = []
    limits: tuple[tuple[LineKind, Limit | None], ...] = (
        ("minimum", tariff.min_price),
        ("maximum", tariff.max_price),
    )
    for kind, limit in limits:
        if limit is None:
            continue
        pick = max if kind == "minimum" else min
        bounds = find(limit, net, gross, lines, pick)
        after = (pick(net, bounds[0]), pick(gross, bounds[1]))
        if after != (net, gross):
            least = "at least" if kind == "minimum" else "at most"
            said = _said(limit, tariff.currency)
            rule = f"tariff {tariff.name}: a session costs {least} {said}"
            found.append(Bound(kind, after[0] - net, after[1] - gross, rule))
        net, gross = after
    return Limited(found, net, gross)


def _said(limit: Limit, currency: str) -> str:
    """As whoever wrote it said it."""
    both = ((limit.excl_vat, "net"), (limit.incl_vat, "gross"))
    said = [f"{plain(one)} {currency} {of}" for one, of in both if one is not None]
    return " and ".join(said)


Pick = Callable[[Decimal, Decimal], Decimal]


def _bounds(
    limit: Limit, net: Decimal, gross: Decimal, lines: Sequence[Line], _: Pick
) -> tuple[Decimal, Decimal]:
    """A limit that is said of one only holds for the other by the VAT in it."""
    of_net, of_gross = limit.excl_vat, limit.incl_vat
    ratio = _ratio(net, gross, lines)
    if of_net is None:
        of_net = of_gross / ratio if of_gross is not None else net
    if of_gross is None:
        of_gross = of_net * ratio
    return of_net, of_gross


def _alike(
    limit: Limit, net: Decimal, gross: Decimal, lines: Sequence[Line], pick: Pick
) -> tuple[Decimal, Decimal]:
    """Where both hold if net and gross are to change in one proportion."""
    ratio = _ratio(net, gross, lines)
    by_net, by_gross = limit.excl_vat, limit.incl_vat
    if by_net is None or (by_gross is not None and pick(by_net, by_gross / ratio) != by_net):
        return (net, gross) if by_gross is None else (by_gross / ratio, by_gross)
    return by_net, by_net * ratio


def _ratio(net: Decimal, gross: Decimal, lines: Sequence[Line]) -> Decimal:
    """Gross to net of the session, or by the highest rate of its lines where it costs nothing, for
    that is where the amount goes.
    """
    if net:
        return gross / net
    highest = max((line.vat_percent or ZERO for line in lines), default=ZERO)
    return (HUNDRED + highest) / HUNDRED


def _both(lines: Sequence[Line], tax_included: bool) -> tuple[Decimal, Decimal]:
    """Exact net and gross."""
    net = gross = ZERO
    for rate, amount in _by_rate(lines).items():
        factor = (HUNDRED + (rate or ZERO)) / HUNDRED
        net += amount / factor if tax_included else amount
        gross += amount if tax_included else amount * factor
    return net, gross


def _by_rate(lines: Sequence[Line]) -> dict[Decimal | None, Decimal]:
    found: dict[Decimal | None, Decimal] = {}
    for line in lines:
        if line.amount or line.unit_price:
            found[line.vat_percent] = found.get(line.vat_percent, ZERO) + line.amount
    return {rate: untraced(amount) for rate, amount in found.items()}


def total(
    lines: Sequence[Line],
    exact: tuple[Decimal, Decimal],
    tax_included: bool,
    other: Decimal | None = None,
) -> Total:
    """lines: all of them. exact: net and gross before rounding, with what limits them.

    other: the gross of net prices or the net of gross ones, where a limit says it apart.
    """
    rates = _by_rate([line._replace(amount=rounded(line.amount)) for line in lines])
    if not rates:
        rates = {lines[0].vat_percent if lines else None: ZERO}
    whole = to_cents(sum(rates.values(), ZERO))
    taxes, rest = [], whole
    # What rounding leaves goes to the rate with the most under it.
    ordered = sorted(rates.items(), key=lambda item: (abs(item[1]), item[0] or ZERO))
    for index, (rate, amount) in enumerate(ordered):
        part = rest if index == len(ordered) - 1 else to_cents(amount)
        rest -= part
        taxes.append(_tax(rate, part, tax_included))
    if other is not None:
        taxes = _with_vat(taxes, abs(to_cents(other) - whole), tax_included)
    return _summed(taxes, exact)


def _with_vat(taxes: Sequence[Tax], vat: Decimal, tax_included: bool) -> list[Tax]:
    """So much VAT over the rates that there are, of each in the proportion in which it was."""
    ordered = sorted(taxes, key=lambda one: (bool(one.vat_percent), abs(one.vat)))
    if not ordered[-1].vat_percent:
        return list(taxes)
    before, rest, found = sum((one.vat for one in taxes), ZERO), vat, []
    for index, one in enumerate(ordered):
        last = index == len(taxes) - 1
        part = rest if last else to_cents(vat * one.vat / before) if before else ZERO
        rest -= part
        net = one.gross - part if tax_included else one.net
        found.append(Tax(one.vat_percent, net, part, net + part))
    return found


def as_net(lines: Sequence[Line], tariff: Tariff, *, reverse_charge: bool) -> list[Line]:
    """For companies: what is left of gross prices without their VAT; with reverse charge the
    customer owes it, which is said by a rate of 0.
    """
    found = []
    for line in lines:
        factor = (HUNDRED + (line.vat_percent or ZERO)) / HUNDRED if tariff.tax_included else ONE
        unit_price = line.unit_price
        if factor != ONE:
            unit_price = (line.unit_price / factor).quantize(UNIT_DIGITS, rounding=ROUND_HALF_UP)
        rate = ZERO if reverse_charge and line.vat_percent is not None else line.vat_percent
        # What a rule names is as the tariff's prices are.
        rule = line.rule if factor == ONE else f"{line.rule} (prices incl. VAT)"
        net = line._replace(
            amount=line.amount / factor, unit_price=unit_price, vat_percent=rate, rule=rule
        )
        found.append(net)
    return found


def net_tariff(
    tariff: Tariff, modifiers: Sequence[Modifier]
) -> tuple[Tariff, tuple[Modifier, ...]]:
    """A tariff and what changes it as companies are shown them: their prices without VAT; the
    least and the most say themselves what they are of.
    """
    if not tariff.tax_included:
        return tariff, tuple(modifiers)
    components = [one for element in tariff.elements for one in element.components]

    def net(amount: Decimal, rate: Decimal | None) -> Decimal:
        exact = amount * HUNDRED / (HUNDRED + (rate or ZERO))
        of_it = exact.quantize(UNIT_DIGITS, rounding=ROUND_HALF_UP)
        return to_cents(of_it) if to_cents(of_it) == of_it else of_it.normalize()

    def rate_of(*dimensions: Dimension) -> Decimal:
        """The highest, where there are several."""
        rates = (one.vat_percent or ZERO for one in components if one.type in dimensions)
        return max(rates, default=ZERO)

    elements = tuple(
        replace(
            element,
            components=tuple(
                replace(one, price=net(one.price, one.vat_percent)) for one in element.components
            ),
        )
        for element in tariff.elements
    )
    fee = tariff.idle_fee
    if fee is not None:
        most = fee.max_amount
        most = None if most is None else to_cents(net(most, fee.vat_percent))
        price = net(fee.price_per_min, fee.vat_percent)
        fee = replace(fee, price_per_min=price, max_amount=most)
    changed = replace(
        tariff,
        tax_included=False,
        elements=elements,
        caps={one: to_cents(net(cap, rate_of(one))) for one, cap in tariff.caps.items()},
        idle_fee=fee,
    )

    def without_vat(one: Modifier) -> Modifier:
        if one.kind == "percent":
            return one
        return replace(one, amount=net(one.amount, rate_of(*one.components)))

    return changed, tuple(map(without_vat, modifiers))


def _tax(rate: Decimal | None, amount: Decimal, tax_included: bool) -> Tax:
    percent = rate or ZERO
    if tax_included:
        net = to_cents(amount * HUNDRED / (HUNDRED + percent))
        return Tax(rate, net, amount - net, amount)
    vat = to_cents(amount * percent / HUNDRED)
    return Tax(rate, amount, vat, amount + vat)


def _summed(taxes: Sequence[Tax], exact: tuple[Decimal, Decimal]) -> Total:
    ordered = tuple(sorted(taxes, key=lambda one: (one.vat_percent or ZERO, one.net)))
    return Total(
        net=sum((one.net for one in ordered), ZERO),
        vat=sum((one.vat for one in ordered), ZERO),
        gross=sum((one.gross for one in ordered), ZERO),
        taxes=ordered,
        exact_net=exact[0],
        exact_gross=exact[1],
    )
