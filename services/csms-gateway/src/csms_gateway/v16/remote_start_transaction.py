"""RemoteStartTransaction (OCPP 1.6, 5.11)."""

from typing import Any

from csms_gateway.commands.kinds import RemoteStart
from csms_gateway.v16.id_tag import id_tag


def payload(command: RemoteStart) -> dict[str, Any]:
    found: dict[str, Any] = {"idTag": id_tag(command.id_token)}
    if command.evse_id is not None:
        found["connectorId"] = command.evse_id
    return found
