"""TriggerMessage (OCPP 2.0.1, F06)."""

from typing import Any, Final

from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.commands.kinds import TriggerMessage
from csms_gateway.v201.change_availability import evse

# MessageTriggerEnumType of 2.0.1; 2.1 adds one, and custom ones by any name.
MESSAGES: Final = {
    "BootNotification", "LogStatusNotification", "FirmwareStatusNotification", "Heartbeat",
    "MeterValues", "SignChargingStationCertificate", "SignV2GCertificate", "StatusNotification",
    "TransactionEvent", "SignCombinedCertificate", "PublishFirmwareStatusNotification",
}  # fmt: skip
MESSAGES_21: Final = MESSAGES | {"SignV2G20Certificate"}


async def calls(charger: Charger, command: TriggerMessage) -> list[Call]:
    found: dict[str, Any] = {"requestedMessage": command.message}
    if charger.version.schemas == "v201":
        if command.message not in MESSAGES:
            raise Unsupported(f"OCPP 2.0.1 cannot trigger {command.message}")
    elif command.message not in MESSAGES_21:
        found = {"requestedMessage": "CustomTrigger", "customTrigger": command.message}
    return [Call("TriggerMessage", found | evse(command.evse_id, command.connector_id))]
