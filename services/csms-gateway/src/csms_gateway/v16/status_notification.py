"""StatusNotification (OCPP 1.6, 4.9)."""

from typing import Any, Final

from common.clock import now
from common.events import ConnectorStatus, StatusReport
from csms_gateway import clocks
from csms_gateway.charger import Charger
from csms_gateway.schemas import Violation

TEXT_MAX: Final = 255  # five times what the schema allows

NEUTRAL: Final[dict[str, ConnectorStatus]] = {
    "Available": "available",
    "Preparing": "preparing",
    "Charging": "charging",
    "SuspendedEV": "suspended_ev",
    "SuspendedEVSE": "suspended_evse",
    "Finishing": "finishing",
    "Reserved": "reserved",
    "Unavailable": "unavailable",
    "Faulted": "faulted",
}


def short(text: str | None) -> str | None:
    """Free text as it goes into events; the message log has all of it."""
    return text and text[:TEXT_MAX]


def connector(payload: dict[str, Any], *, least: int = 0) -> int:
    """A connector number that can be one. Raises Violation."""
    number: int = payload["connectorId"]
    if not least <= number < 2**15:
        raise Violation("PropertyConstraintViolation", f"connectorId {number} cannot be")
    return number


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    number = connector(payload)
    received_at = now()
    at = received_at
    if "timestamp" in payload:
        at = clocks.settle(payload["timestamp"], received_at, charger.reachable_since).at
    error = payload["errorCode"]
    await charger.gateway.publisher.status(
        StatusReport(
            operator_id=charger.operator_id,
            station_id=charger.station_id,
            generation=charger.generation,
            evse_id=number,
            connector_id=1 if number else 0,
            status=NEUTRAL[payload["status"]],
            error_code=None if error == "NoError" else short(error),
            vendor_error_code=short(payload.get("vendorErrorCode")),
            info=short(payload.get("info")),
            reported_at=at,
            received_at=received_at,
        )
    )
    return {}
