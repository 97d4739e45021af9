"""What a session costs. Pure: a session's facts and a tariff in, priced lines and totals out.

Exact decimals throughout. Each line is rounded half up to 4 decimals, the session's total half up
to cents once; VAT is taken from that total, so net + VAT = gross to the cent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from common.events import RecordLine
from common.money import plain, to_cents

ENERGY_MIN_WH: Final = 50  # less is a faulty contact or a car that never charged
DURATION_MIN_S: Final = 60
ACCEPTED: Final = "Accepted"  # OCPP's word for a token that may charge
LINE_DIGITS: Final = Decimal("0.0001")
HUNDRED: Final = Decimal(100)
ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Facts:
    """What the charger told of a session, up to its end or up to now."""

    energy_wh: int
    duration_s: int
    token_accepted: bool


@dataclass(frozen=True)
class Prices:
    """One version of a tariff. tax_included: the prices are gross, for consumers."""

    name: str
    currency: str
    tax_included: bool
    vat_percent: Decimal
    energy_price: Decimal  # per kWh
    time_price: Decimal  # per minute
    start_fee: Decimal


@dataclass(frozen=True)
class Total:
    """To the cent; net + vat = gross."""

    net: Decimal
    vat: Decimal
    gross: Decimal


@dataclass(frozen=True)
class Priced:
    lines: tuple[RecordLine, ...]
    total: Total


def duration_s(started_at: datetime, ended_at: datetime) -> int:
    """Whole seconds, half up; 0 if the end lies before the start."""
    elapsed = max(ended_at - started_at, timedelta()) + timedelta(milliseconds=500)
    return elapsed // timedelta(seconds=1)


def energy_cost(energy_wh: int, energy_price: Decimal) -> Decimal:
    """Unrounded, so that an amount of energy costs the same however it is split."""
    return energy_price * energy_wh / 1000


def rate(facts: Facts, prices: Prices) -> Priced:
    """Price a session. Raises ValueError for negative energy or time: those are never priced."""
    if facts.energy_wh < 0 or facts.duration_s < 0:
        raise ValueError(f"energy and time must not be negative: {facts}")
    reason = _free_of_charge(facts)
    lines = _priced_lines(facts, prices) if reason is None else [_free_line(facts, reason)]
    return Priced(tuple(lines), total(lines, prices))


def total(lines: Iterable[RecordLine], prices: Prices) -> Total:
    """The one rounding to cents, and the VAT in it or on it."""
    rounded = to_cents(sum((line.amount for line in lines), ZERO))
    if prices.tax_included:
        net = to_cents(rounded * HUNDRED / (HUNDRED + prices.vat_percent))
        return Total(net=net, vat=rounded - net, gross=rounded)
    vat = to_cents(rounded * prices.vat_percent / HUNDRED)
    return Total(net=rounded, vat=vat, gross=rounded + vat)


def _free_of_charge(facts: Facts) -> str | None:
    """Why nothing is charged, not even the start fee; None if the session is charged."""
    if facts.energy_wh < ENERGY_MIN_WH and not facts.token_accepted:
        return f"refused: the card was not accepted and {facts.energy_wh} Wh were delivered"
    if facts.energy_wh < ENERGY_MIN_WH:
        return f"below {ENERGY_MIN_WH} Wh nothing is charged: {facts.energy_wh} Wh"
    if facts.duration_s < DURATION_MIN_S:
        return f"below {DURATION_MIN_S} s nothing is charged: {facts.duration_s} s"
    return None


def _free_line(facts: Facts, reason: str) -> RecordLine:
    return RecordLine(
        kind="energy",
        quantity=_kwh(facts.energy_wh),
        unit="kWh",
        unit_price=ZERO,
        amount=ZERO.quantize(LINE_DIGITS),
        rule=reason,
    )


def _priced_lines(facts: Facts, prices: Prices) -> list[RecordLine]:
    """Energy always, so that a record shows it; time and start fee if the tariff has them."""
    money = prices.currency
    lines = [
        RecordLine(
            kind="energy",
            quantity=_kwh(facts.energy_wh),
            unit="kWh",
            unit_price=prices.energy_price,
            amount=_line(energy_cost(facts.energy_wh, prices.energy_price)),
            rule=f"tariff {prices.name}: {plain(prices.energy_price)} {money} a kWh",
        )
    ]
    if prices.time_price:
        # The amount comes from the seconds; the minutes shown are rounded.
        amount = prices.time_price * facts.duration_s / 60
        lines.append(
            RecordLine(
                kind="time",
                quantity=_line(Decimal(facts.duration_s) / 60),
                unit="min",
                unit_price=prices.time_price,
                amount=_line(amount),
                rule=f"tariff {prices.name}: {plain(prices.time_price)} {money} a minute, "
                f"by the second ({facts.duration_s} s)",
            )
        )
    if prices.start_fee:
        lines.append(
            RecordLine(
                kind="start",
                quantity=Decimal(1),
                unit="session",
                unit_price=prices.start_fee,
                amount=_line(prices.start_fee),
                rule=f"tariff {prices.name}: start fee, once a session",
            )
        )
    return lines


def _kwh(energy_wh: int) -> Decimal:
    return Decimal(energy_wh).scaleb(-3)


def _line(amount: Decimal) -> Decimal:
    return amount.quantize(LINE_DIGITS, rounding=ROUND_HALF_UP)
