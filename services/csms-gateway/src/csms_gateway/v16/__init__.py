"""OCPP 1.6J: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import transactions, variables
from csms_gateway.charger import Answered, Charger, Translation, Version, sends
from csms_gateway.v16 import (
    authorize,
    boot_notification,
    change_availability,
    change_configuration,
    clear_cache,
    data_transfer,
    diagnostics_status_notification,
    firmware_status_notification,
    get_configuration,
    get_log,
    heartbeat,
    log_status_notification,
    meter_values,
    remote_start_transaction,
    remote_stop_transaction,
    reset,
    security_event_notification,
    signed_firmware_status_notification,
    start_transaction,
    status_notification,
    stop_transaction,
    trigger_message,
    unlock_connector,
    update_firmware,
)

TELL_OF_SESSIONS = ("StartTransaction", "StopTransaction")


async def keep(charger: Charger, action: str, payload: dict[str, Any]) -> None:
    if action in TELL_OF_SESSIONS:
        await transactions.keep_unmatched(charger, action, payload, now())


COMMANDS: dict[str, Translation] = {
    "change_availability": change_availability.calls,
    "clear_cache": clear_cache.calls,
    "data_transfer": data_transfer.calls,
    "get_log": get_log.calls,
    "get_variables": get_configuration.calls,
    "remote_start": sends("RemoteStartTransaction", remote_start_transaction.payload),
    "remote_stop": remote_stop_transaction.calls,
    "reset": sends("Reset", reset.payload),
    "set_variables": change_configuration.calls,
    "trigger_message": trigger_message.calls,
    "unlock_connector": unlock_connector.calls,
    "update_firmware": update_firmware.calls,
}

ANSWERED: dict[str, Answered] = {
    "ChangeConfiguration": variables.configuration_changed,
    "GetConfiguration": variables.configuration_got,
}

VERSION = Version(
    name="ocpp1.6",
    schemas="v16",
    actions={
        "Authorize": authorize.answer,
        "BootNotification": boot_notification.answer,
        "DataTransfer": data_transfer.answer,
        "DiagnosticsStatusNotification": diagnostics_status_notification.answer,
        "FirmwareStatusNotification": firmware_status_notification.answer,
        "Heartbeat": heartbeat.answer,
        "LogStatusNotification": log_status_notification.answer,
        "MeterValues": meter_values.answer,
        "SecurityEventNotification": security_event_notification.answer,
        "SignedFirmwareStatusNotification": signed_firmware_status_notification.answer,
        "StartTransaction": start_transaction.answer,
        "StatusNotification": status_notification.answer,
        "StopTransaction": stop_transaction.answer,
    },
    commands=COMMANDS,
    answered=ANSWERED,
    bad_frame="FormationViolation",
    keep=keep,
)
