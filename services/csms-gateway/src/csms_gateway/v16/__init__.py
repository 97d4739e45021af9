"""OCPP 1.6J: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import transactions
from csms_gateway.charger import Charger, Translation, Version, sends
from csms_gateway.v16 import (
    authorize,
    boot_notification,
    data_transfer,
    heartbeat,
    meter_values,
    remote_start_transaction,
    remote_stop_transaction,
    reset,
    start_transaction,
    status_notification,
    stop_transaction,
)

TELL_OF_SESSIONS = ("StartTransaction", "StopTransaction")


async def keep(charger: Charger, action: str, payload: dict[str, Any]) -> None:
    if action in TELL_OF_SESSIONS:
        await transactions.keep_unmatched(charger, action, payload, now())


COMMANDS: dict[str, Translation] = {
    "remote_start": sends("RemoteStartTransaction", remote_start_transaction.payload),
    "remote_stop": remote_stop_transaction.calls,
    "reset": sends("Reset", reset.payload),
}

VERSION = Version(
    name="ocpp1.6",
    schemas="v16",
    actions={
        "Authorize": authorize.answer,
        "BootNotification": boot_notification.answer,
        "DataTransfer": data_transfer.answer,
        "Heartbeat": heartbeat.answer,
        "MeterValues": meter_values.answer,
        "StartTransaction": start_transaction.answer,
        "StatusNotification": status_notification.answer,
        "StopTransaction": stop_transaction.answer,
    },
    commands=COMMANDS,
    answered={},
    keep=keep,
)
