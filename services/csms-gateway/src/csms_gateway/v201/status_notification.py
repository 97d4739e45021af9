"""StatusNotification (OCPP 2.0.1, G01)."""

from typing import Any, Final

from common.events import ConnectorStatus
from csms_gateway import statuses
from csms_gateway.charger import Charger

NEUTRAL: Final[dict[str, ConnectorStatus]] = {
    "Available": "available",
    "Occupied": "occupied",
    "Reserved": "reserved",
    "Unavailable": "unavailable",
    "Faulted": "faulted",
}


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    await statuses.report(
        charger,
        statuses.number(payload["evseId"], "evseId"),
        statuses.number(payload["connectorId"], "connectorId"),
        NEUTRAL[payload["connectorStatus"]],
        payload["timestamp"],
    )
    return {}
