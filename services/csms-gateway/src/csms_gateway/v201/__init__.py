"""OCPP 2.0.1: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import transactions
from csms_gateway.charger import Charger, Handler, Translation, Version, sends
from csms_gateway.v201 import (
    authorize,
    boot_notification,
    data_transfer,
    heartbeat,
    meter_values,
    mirrored,
    request_start_transaction,
    request_stop_transaction,
    reset,
    status_notification,
    transaction_event,
)


async def keep(charger: Charger, action: str, payload: dict[str, Any]) -> None:
    if action == "TransactionEvent":
        await transactions.keep_unmatched(charger, action, payload, now())


ACTIONS: dict[str, Handler] = {
    "Authorize": authorize.answer,
    "BootNotification": boot_notification.answer,
    "DataTransfer": data_transfer.answer,
    "Heartbeat": heartbeat.answer,
    "MeterValues": meter_values.answer,
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
    keep=keep,
)
