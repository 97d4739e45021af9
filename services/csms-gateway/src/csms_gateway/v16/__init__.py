"""OCPP 1.6J: one file per action, from the charger's words to ours."""

from csms_gateway.charger import Version
from csms_gateway.v16 import (
    authorize,
    boot_notification,
    data_transfer,
    heartbeat,
    meter_values,
    start_transaction,
    status_notification,
    stop_transaction,
)

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
    bad_frame="FormationViolation",
)
