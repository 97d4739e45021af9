"""MeterValues (OCPP 1.6, 4.7)."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from prometheus_client import Counter

from common.clock import now
from csms_gateway import clocks, transactions
from csms_gateway.charger import Charger
from csms_gateway.v16.status_notification import connector

UNREADABLE = Counter("csms_gateway_unreadable_values_total", "Sampled values that are no number")

DEFAULT_MEASURAND: Final = "Energy.Active.Import.Register"  # OCPP 1.6, 7.43
SIGNED: Final = "SignedData"
TO_BASE: Final = {"kWh": ("Wh", 1000), "kvarh": ("varh", 1000), "kW": ("W", 1000)}
NAME_MAX = 64  # twice the longest name in the schema; the names are keys in the database
VALUE_MAX = 64  # characters of a number; longer ones are signed data or garbage


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    number = connector(payload)
    await store(charger, number, payload.get("transactionId"), payload["meterValue"], payload)
    return {}


async def store(
    charger: Charger,
    evse_id: int,
    transaction_id: int | None,
    meter_values: list[dict[str, Any]],
    payload: dict[str, Any],
) -> None:
    """Return when the readings are durable."""
    session_id = await transactions.session_of(charger, transaction_id, evse_id, payload)
    if _any_signed(meter_values):
        await transactions.keep_signed(charger, evse_id, session_id, payload)
    received_at = now()
    report = {
        "operator_id": str(charger.operator_id),
        "station_id": charger.station_id,
        "evse_id": evse_id,
        "session_id": session_id and str(session_id),
        "received_at": received_at,
        "samples": [
            sample
            for one in meter_values
            for sample in samples(
                one, clocks.settle(one["timestamp"], received_at, charger.reachable_since).at
            )
        ],
    }
    if report["samples"]:
        await charger.gateway.publisher.meter(report)


def _any_signed(meter_values: list[dict[str, Any]]) -> bool:
    for one in meter_values:
        for sampled in one.get("sampledValue", ()):
            if "format" in sampled and sampled["format"] == SIGNED:
                return True
    return False


def samples(meter_value: dict[str, Any], at: datetime) -> list[dict[str, Any]]:
    """The readings of one MeterValue, as events.MeterSample in JSON-ready members."""
    found = []
    for sampled in meter_value.get("sampledValue", ()):
        if sampled.get("format") == SIGNED:
            continue  # no number; the whole message is kept
        measurand = sampled.get("measurand", DEFAULT_MEASURAND)[:NAME_MAX]
        energy = measurand.startswith("Energy.")
        value = number(sampled["value"])
        if value is None:
            UNREADABLE.inc()
            continue
        unit = sampled.get("unit", "")[:NAME_MAX] or ("Wh" if energy else "")
        if unit in TO_BASE and energy:
            unit, factor = TO_BASE[unit]
            value = format(Decimal(value) * factor, "f")
        found.append(
            {
                "sampled_at": at,
                "measurand": measurand,
                "value": value,
                "unit": unit,
                "phase": sampled.get("phase", "")[:NAME_MAX],
                "location": sampled.get("location", "")[:NAME_MAX],
                "context": sampled.get("context", "")[:NAME_MAX],
            }
        )
    return found


def number(text: str) -> str | None:
    """A decimal number as the charger meant it: 12,5 is 12.5. None: it is none."""
    if len(text) > VALUE_MAX:
        return None
    if text.isdecimal() and text.isascii():
        return text
    try:
        value = Decimal(text.strip().replace(",", ".", 1))
    except InvalidOperation:
        return None
    if not value.is_finite() or abs(value.adjusted()) > VALUE_MAX:
        return None
    return format(value, "f")
