"""Pure: a tariff of billing's as OCPP 2.1 has it (TariffType, 2.1 Part 2, chapter I).

Both OCPI and OCPP take, of each dimension, the first price whose conditions hold. What OCPP cannot
say would make the station reckon another sum than billing, so such a tariff is none for it.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final, NamedTuple

from common.price_words import LANGUAGES
from csms_gateway.charger import Unsupported
from csms_gateway.clocks import wire_time
from csms_gateway.tariff_texts import Prices, describe

# OCPP's prices are without tax (TariffEnergyPriceType.priceKwh). A millionth of a euro a kWh is
# less than a hundredth of a cent in a session.
DIGITS: Final = Decimal("0.000001")
HUNDRED: Final = Decimal(100)
HOUR_MIN: Final = 60


class _Place(NamedTuple):
    field: str
    price: str
    per: int = 1  # of OCPP's units in one of OCPI's


PLACES: Final = {
    "ENERGY": _Place("energy", "priceKwh"),
    "TIME": _Place("chargingTime", "priceMinute", HOUR_MIN),
    "PARKING_TIME": _Place("idleTime", "priceMinute", HOUR_MIN),
    "FLAT": _Place("fixedFee", "priceFixed"),
}
RESERVATIONS: Final = {
    "TIME": _Place("reservationTime", "priceMinute", HOUR_MIN),
    "FLAT": _Place("reservationFixed", "priceFixed"),
}
# Of a fixed fee, which is charged as the session begins.
FIXED: Final = {"start_time", "end_time", "start_date", "end_date", "day_of_week", "reservation"}
PLAIN: Final = {
    "start_time": "startTimeOfDay", "end_time": "endTimeOfDay", "start_date": "validFromDate",
    "end_date": "validToDate", "min_duration": "minTime", "max_duration": "maxTime",
}  # fmt: skip
SCALED: Final = {
    "min_kwh": ("minEnergy", 1000), "max_kwh": ("maxEnergy", 1000),
    "min_power": ("minPower", 1000), "max_power": ("maxPower", 1000),
    "min_current": ("minCurrent", 1), "max_current": ("maxCurrent", 1),
}  # fmt: skip
LIMITS: Final = {"excl_vat": "exclTax", "incl_vat": "inclTax"}


def tariff_type(prices: Prices, at: datetime) -> dict[str, Any]:
    """Valid at once, or from its moment on if that is still to come. Raises Unsupported.

    That billing charges nothing below some Wh and seconds cannot be said here.
    """
    found: dict[str, Any] = {
        "tariffId": str(prices.tariff_id),
        "currency": prices.currency,
        "description": [
            {"format": "UTF8", "language": one, "content": describe(prices, one)}
            for one in LANGUAGES
        ],
    }
    found |= _defined(prices) if prices.definition else _simple(prices)
    if prices.valid_from > at:
        found["validFrom"] = wire_time(prices.valid_from)
    return found


def fields(tariff: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The prices of each of its fields."""
    for place in (*PLACES.values(), *RESERVATIONS.values()):
        if place.field in tariff:
            yield tariff[place.field]["prices"]


def _simple(prices: Prices) -> dict[str, Any]:
    """Time costs the same whether the car charges or not, so it stands there twice."""
    tax = [{"type": "VAT", "tax": float(prices.vat_percent)}]

    def one(name: str, price: Decimal) -> dict[str, Any]:
        net = _net(price, prices.vat_percent, included=prices.tax_included)
        return {"prices": [{name: net}], "taxRates": tax}

    found = {"energy": one("priceKwh", prices.energy_price)}
    if prices.time_price:
        time = one("priceMinute", prices.time_price)
        found |= {"chargingTime": time, "idleTime": time}
    if prices.start_fee:
        found["fixedFee"] = one("priceFixed", prices.start_fee)
    return found


def _cannot(why: str) -> Unsupported:
    return Unsupported(f"OCPP 2.1 cannot say this tariff: {why}")


def _defined(prices: Prices) -> dict[str, Any]:
    definition = prices.definition or {}
    if definition.get("idle_fee"):
        raise _cannot("it has a fee for blocking the place")
    if definition.get("caps"):
        raise _cannot("it has caps")
    found: dict[str, Any] = {}
    for element in definition["elements"]:
        restrictions = element.get("restrictions") or {}
        for component in element["price_components"]:
            _add(found, component, restrictions, included=prices.tax_included)
    for name, limit in (("min_price", "minCost"), ("max_price", "maxCost")):
        if told := definition.get(name):
            found[limit] = {LIMITS[key]: float(told[key]) for key in LIMITS if key in told}
    return found


def _add(
    found: dict[str, Any],
    component: dict[str, Any],
    restrictions: dict[str, Any],
    *,
    included: bool,
) -> None:
    """Raises Unsupported."""
    kind, reservation = component["type"], restrictions.get("reservation")
    place = (RESERVATIONS if reservation else PLACES).get(kind)
    if place is None or reservation == "RESERVATION_EXPIRES":
        raise _cannot(f"it has a price of {kind} for {reservation}")
    if component.get("step_size", 1) > 1:
        raise _cannot(f"{kind} is charged in steps")
    if kind == "FLAT" and restrictions.keys() - FIXED:
        raise _cannot("the fee at the start depends on how the session goes")
    vat = component.get("vat")
    tax = {} if vat is None else {"taxRates": [{"type": "VAT", "tax": float(vat)}]}
    of_it = found.setdefault(place.field, {"prices": [], **tax})
    if of_it.get("taxRates") != tax.get("taxRates"):
        raise _cannot(f"{kind} has more than one rate of VAT")
    net = _net(Decimal(component["price"]) / place.per, Decimal(vat or 0), included=included)
    conditions = _conditions(restrictions)
    of_it["prices"].append({place.price: net, **({"conditions": conditions} if conditions else {})})


def _conditions(restrictions: dict[str, Any]) -> dict[str, Any]:
    found = {PLAIN[name]: value for name, value in restrictions.items() if name in PLAIN}
    for name, (ours, by) in SCALED.items():
        if name in restrictions:
            found[ours] = float(Decimal(restrictions[name]) * by)
    if days := restrictions.get("day_of_week"):
        found["dayOfWeek"] = [day.capitalize() for day in days]
    return found


def _net(price: Decimal, vat_percent: Decimal, *, included: bool) -> float:
    """A number on the wire and nowhere else."""
    if included:
        price = price * HUNDRED / (HUNDRED + vat_percent)
    return float(price.quantize(DIGITS, rounding=ROUND_HALF_UP))
