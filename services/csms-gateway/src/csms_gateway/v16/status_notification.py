"""StatusNotification (OCPP 1.6, 4.9)."""

from typing import Any, Final

from common.events import ConnectorStatus
from csms_gateway import charging_states, statuses
from csms_gateway.charger import Charger

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


def connector(payload: dict[str, Any], *, least: int = 0) -> int:
    """A connector number that can be one. Raises Violation."""
    return statuses.number(payload["connectorId"], "connectorId", least=least)


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    number = connector(payload)
    charger.idle.discard(number)
    if payload["status"] == "SuspendedEV":
        charger.idle.add(number)
    error = payload["errorCode"]
    told = await statuses.report(
        charger,
        number,
        1 if number else 0,
        NEUTRAL[payload["status"]],
        payload.get("timestamp"),
        error_code=None if error == "NoError" else error,
        vendor_error_code=payload.get("vendorErrorCode"),
        info=payload.get("info"),
    )
    await charging_states.of_connector(charger, told)
    return {}
