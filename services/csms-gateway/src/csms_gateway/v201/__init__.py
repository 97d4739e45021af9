"""OCPP 2.0.1: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import transactions
from csms_gateway.charger import Charger, Handler, Translation, Version, sends
from csms_gateway.v201 import (
    authorize,
    boot_notification,
    data_transfer,
    firmware_status_notification,
    heartbeat,
    log_status_notification,
    meter_values,
    mirrored,
    publish_firmware_status_notification,
    request_start_transaction,
    request_stop_transaction,
    reset,
    status_notification,
    transaction_event,
)

# Not readings: a station that gets them wrong does so every minute, and the log has them.
TELL_OF_SESSIONS = {"TransactionEvent", "NotifySettlement"}


async def keep(charger: Charger, action: str, payload: dict[str, Any]) -> None:
    if action in TELL_OF_SESSIONS:
        await transactions.keep_unmatched(charger, action, payload, now())


ACTIONS: dict[str, Handler] = {
    "Authorize": authorize.answer,
    "BootNotification": boot_notification.answer,
    "DataTransfer": data_transfer.answer,
    "FirmwareStatusNotification": firmware_status_notification.answer,
    "Heartbeat": heartbeat.answer,
    "LogStatusNotification": log_status_notification.answer,
    "MeterValues": meter_values.answer,
    "PublishFirmwareStatusNotification": publish_firmware_status_notification.answer,
    "StatusNotification": status_notification.answer,
    "TransactionEvent": transaction_event.answer,
}

COMMANDS: dict[str, Translation] = {
    **mirrored.commands("v201"),
    "remote_start": request_start_transaction.calls,
    "remote_stop": request_stop_transaction.calls,
    "reset": sends("Reset", reset.payload),
}

VERSION = Version(
    name="ocpp2.0.1",
    schemas="v201",
    actions=ACTIONS,
    commands=COMMANDS,
    answered={},
    bad_frame="RpcFrameworkError",
    keep=keep,
)
