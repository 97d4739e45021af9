"""UnlockConnector (OCPP 1.6, 5.18)."""

from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import UnlockConnector
from csms_gateway.v16 import outgoing


async def calls(_: Charger, command: UnlockConnector) -> list[Call]:
    number = outgoing.connector(command.evse_id, command.connector_id)
    return [outgoing.call("UnlockConnector", {"connectorId": number})]
