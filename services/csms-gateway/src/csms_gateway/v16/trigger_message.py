"""TriggerMessage (OCPP 1.6, 5.17) and ExtendedTriggerMessage (1.6 security white paper, 5.5).

What TriggerMessage can ask for is asked for with it, since every charger with remote triggers knows
that; the extension's call only for what it alone has. An ExtendedTriggerMessage for the status of a
signed firmware update goes as a call exactly as given.
"""

from typing import Final

from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.commands.kinds import TriggerMessage
from csms_gateway.v16 import outgoing

PLAIN: Final = {
    "BootNotification", "DiagnosticsStatusNotification", "FirmwareStatusNotification", "Heartbeat",
    "MeterValues", "StatusNotification",
}  # fmt: skip
EXTENDED: Final = {
    "LogStatusNotification": "LogStatusNotification",
    "SignChargePointCertificate": "SignChargePointCertificate",
    # OCPP 2.x's name for the same.
    "SignChargingStationCertificate": "SignChargePointCertificate",
}


async def calls(_: Charger, command: TriggerMessage) -> list[Call]:
    if command.evse_id is None:
        number = None
        if command.connector_id is not None:
            raise Unsupported("a connector is one of an EVSE: name evse_id")
    else:
        number = outgoing.connector(command.evse_id, command.connector_id)
    if command.message in PLAIN:
        action, message = "TriggerMessage", command.message
    elif command.message in EXTENDED:
        action, message = "ExtendedTriggerMessage", EXTENDED[command.message]
    else:
        raise Unsupported(f"OCPP 1.6 cannot trigger {command.message}")
    payload = outgoing.without_none(requestedMessage=message, connectorId=number)
    return [outgoing.call(action, payload)]
