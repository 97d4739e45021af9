"""OCPP 1.6J: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import reservations, transactions
from csms_gateway.charger import Answered, Charger, Refused, Translation, Version, sends
from csms_gateway.v16 import (
    authorize,
    boot_notification,
    cancel_reservation,
    clear_charging_profile,
    data_transfer,
    get_composite_schedule,
    get_local_list_version,
    heartbeat,
    meter_values,
    remote_start_transaction,
    remote_stop_transaction,
    reserve_now,
    reset,
    send_local_list,
    set_charging_profile,
    start_transaction,
    status_notification,
    stop_transaction,
)

TELL_OF_SESSIONS = ("StartTransaction", "StopTransaction")


async def keep(charger: Charger, action: str, payload: dict[str, Any]) -> None:
    if action in TELL_OF_SESSIONS:
        await transactions.keep_unmatched(charger, action, payload, now())


COMMANDS: dict[str, Translation] = {
    "cancel_reservation": sends("CancelReservation", cancel_reservation.payload),
    "clear_charging_profile": sends("ClearChargingProfile", clear_charging_profile.payload),
    "get_composite_schedule": sends("GetCompositeSchedule", get_composite_schedule.payload),
    "get_local_list_version": sends("GetLocalListVersion", get_local_list_version.payload),
    "remote_start": remote_start_transaction.calls,
    "remote_stop": remote_stop_transaction.calls,
    "reserve_now": reserve_now.calls,
    "reset": sends("Reset", reset.payload),
    "send_local_list": send_local_list.calls,
    "set_charging_profile": set_charging_profile.calls,
}

ANSWERED: dict[str, Answered] = {
    "CancelReservation": reservations.cancelled,
    "ClearChargingProfile": clear_charging_profile.answered,
    "GetLocalListVersion": get_local_list_version.answered,
    "ReserveNow": reserve_now.answered,
    "SendLocalList": send_local_list.answered,
    "SetChargingProfile": set_charging_profile.answered,
}

REFUSED: dict[str, Refused] = {"ReserveNow": reserve_now.refused}

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
    answered=ANSWERED,
    bad_frame="FormationViolation",
    keep=keep,
    refused=REFUSED,
)
