"""ChangeAvailability (OCPP 2.0.1, G03 and G04)."""

from typing import Any

from csms_gateway.charger import Unsupported
from csms_gateway.commands.kinds import ChangeAvailability


def evse(evse_id: int | None, connector_id: int | None) -> dict[str, Any]:
    """EVSEType as the member `evse`, or nothing for the whole station. Raises Unsupported."""
    if evse_id is None:
        if connector_id is not None:
            raise Unsupported("a connector needs its EVSE")
        return {}
    if connector_id is None:
        return {"evse": {"id": evse_id}}
    return {"evse": {"id": evse_id, "connectorId": connector_id}}


def payload(command: ChangeAvailability) -> dict[str, Any]:
    status = "Operative" if command.operative else "Inoperative"
    return {"operationalStatus": status, **evse(command.evse_id, command.connector_id)}
