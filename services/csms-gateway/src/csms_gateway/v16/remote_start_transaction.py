"""RemoteStartTransaction (OCPP 1.6, 5.11)."""

from typing import Any

from csms_gateway.charger import Unsupported
from csms_gateway.commands.kinds import RemoteStart
from csms_gateway.v16.id_tag import id_tag


def payload(command: RemoteStart) -> dict[str, Any]:
    if command.group_id_token is not None:
        raise Unsupported("OCPP 1.6 tells a card's group in answers only, not with a remote start")
    if command.charging_profile is not None:
        raise Unsupported("a remote start with a charging profile is not translated to OCPP 1.6")
    found: dict[str, Any] = {"idTag": id_tag(command.id_token)}
    if command.evse_id is not None:
        found["connectorId"] = command.evse_id
    return found
