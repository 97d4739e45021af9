"""UnlockConnector (OCPP 2.0.1, F05)."""

from typing import Any

from csms_gateway.commands.kinds import UnlockConnector


def payload(command: UnlockConnector) -> dict[str, Any]:
    return {"evseId": command.evse_id, "connectorId": command.connector_id}
