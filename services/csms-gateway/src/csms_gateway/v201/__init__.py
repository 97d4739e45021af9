"""OCPP 2.0.1: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import reservations, transactions
from csms_gateway.charger import (
    Answered,
    Charger,
    Handler,
    Refused,
    Translation,
    Version,
    sends,
)
from csms_gateway.v201 import (
    authorize,
    boot_notification,
    cancel_reservation,
    clear_charging_profile,
    cleared_charging_limit,
    data_transfer,
    get_charging_profiles,
    get_composite_schedule,
    get_local_list_version,
    heartbeat,
    meter_values,
    mirrored,
    notify_charging_limit,
    notify_ev_charging_needs,
    notify_ev_charging_schedule,
    report_charging_profiles,
    request_start_transaction,
    request_stop_transaction,
    reservation_status_update,
    reserve_now,
    reset,
    send_local_list,
    set_charging_profile,
    status_notification,
    transaction_event,
)


async def keep(charger: Charger, action: str, payload: dict[str, Any]) -> None:
    if action == "TransactionEvent":
        await transactions.keep_unmatched(charger, action, payload, now())


ACTIONS: dict[str, Handler] = {
    "Authorize": authorize.answer,
    "BootNotification": boot_notification.answer,
    "ClearedChargingLimit": cleared_charging_limit.answer,
    "DataTransfer": data_transfer.answer,
    "Heartbeat": heartbeat.answer,
    "MeterValues": meter_values.answer,
    "NotifyChargingLimit": notify_charging_limit.answer,
    "NotifyEVChargingNeeds": notify_ev_charging_needs.answer,
    "NotifyEVChargingSchedule": notify_ev_charging_schedule.answer,
    "ReportChargingProfiles": report_charging_profiles.answer,
    "ReservationStatusUpdate": reservation_status_update.answer,
    "StatusNotification": status_notification.answer,
    "TransactionEvent": transaction_event.answer,
}

COMMANDS: dict[str, Translation] = {
    **mirrored.commands("v201"),
    "cancel_reservation": sends("CancelReservation", cancel_reservation.payload),
    "clear_charging_profile": sends("ClearChargingProfile", clear_charging_profile.payload),
    "get_composite_schedule": sends("GetCompositeSchedule", get_composite_schedule.payload),
    "get_local_list_version": sends("GetLocalListVersion", get_local_list_version.payload),
    "remote_start": request_start_transaction.calls,
    "remote_stop": request_stop_transaction.calls,
    "reserve_now": reserve_now.calls,
    "reset": sends("Reset", reset.payload),
    "send_local_list": send_local_list.calls,
    "set_charging_profile": set_charging_profile.calls,
}

ANSWERED: dict[str, Answered] = {
    "CancelReservation": reservations.cancelled,
    "ClearChargingProfile": clear_charging_profile.answered,
    "GetChargingProfiles": get_charging_profiles.answered,
    "GetLocalListVersion": get_local_list_version.answered,
    "ReserveNow": reserve_now.answered,
    "SendLocalList": send_local_list.answered,
    "SetChargingProfile": set_charging_profile.answered,
}

REFUSED: dict[str, Refused] = {"ReserveNow": reserve_now.refused}

VERSION = Version(
    name="ocpp2.0.1",
    schemas="v201",
    actions=ACTIONS,
    commands=COMMANDS,
    answered=ANSWERED,
    bad_frame="RpcFrameworkError",
    keep=keep,
    refused=REFUSED,
)
