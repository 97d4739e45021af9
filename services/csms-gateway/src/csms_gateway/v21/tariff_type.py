"""Pure: a tariff of billing's as OCPP 2.1 has it (TariffType, 2.1 Part 2, chapter I)."""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from csms_gateway.clocks import wire_time
from csms_gateway.tariff_texts import LANGUAGES, Prices, describe

# OCPP's prices are without tax (TariffEnergyPriceType.priceKwh). A millionth of a euro a kWh is
# less than a hundredth of a cent in a session.
DIGITS: Final = Decimal("0.000001")
HUNDRED: Final = Decimal(100)


def tariff_type(prices: Prices, at: datetime) -> dict[str, Any]:
    """Valid at once, or from its moment on if that is still to come.

    Time costs the same whether the car charges or not, so it stands there twice. That billing
    charges nothing below some Wh and seconds cannot be said here.
    """
    tax = [{"type": "VAT", "tax": float(prices.vat_percent)}]
    found: dict[str, Any] = {
        "tariffId": str(prices.tariff_id),
        "currency": prices.currency,
        "description": [
            {"format": "UTF8", "language": one, "content": describe(prices, one)}
            for one in LANGUAGES
        ],
        "energy": {"prices": [{"priceKwh": _net(prices.energy_price, prices)}], "taxRates": tax},
    }
    if prices.time_price:
        time = {"prices": [{"priceMinute": _net(prices.time_price, prices)}], "taxRates": tax}
        found |= {"chargingTime": time, "idleTime": time}
    if prices.start_fee:
        fee = {"priceFixed": _net(prices.start_fee, prices)}
        found["fixedFee"] = {"prices": [fee], "taxRates": tax}
    if prices.valid_from > at:
        found["validFrom"] = wire_time(prices.valid_from)
    return found


def _net(price: Decimal, prices: Prices) -> float:
    """A number on the wire and nowhere else."""
    if prices.tax_included:
        price = price * HUNDRED / (HUNDRED + prices.vat_percent)
    return float(price.quantize(DIGITS, rounding=ROUND_HALF_UP))
