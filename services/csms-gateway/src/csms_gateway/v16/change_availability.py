"""ChangeAvailability (OCPP 1.6, 5.2)."""

from typing import Final

from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.commands.kinds import ChangeAvailability
from csms_gateway.v16 import outgoing

STATION: Final = 0


async def calls(_: Charger, command: ChangeAvailability) -> list[Call]:
    number = STATION
    if command.evse_id is not None:
        number = outgoing.connector(command.evse_id, command.connector_id)
    elif command.connector_id is not None:
        raise Unsupported("a connector is one of an EVSE: name evse_id")
    kind = "Operative" if command.operative else "Inoperative"
    return [outgoing.call("ChangeAvailability", {"connectorId": number, "type": kind})]
