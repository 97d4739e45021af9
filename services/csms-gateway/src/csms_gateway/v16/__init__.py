"""OCPP 1.6J: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import (
    certificates,
    installed_certificates,
    kept_messages,
    reservations,
)
from csms_gateway.charger import Answered, Charger, Refused, Translation, Version, sends
from csms_gateway.v16 import (
    authorize,
    boot_notification,
    cancel_reservation,
    certificate_signed,
    change_availability,
    change_configuration,
    clear_cache,
    clear_charging_profile,
    data_transfer,
    delete_certificate,
    diagnostics_status_notification,
    firmware_status_notification,
    get_composite_schedule,
    get_configuration,
    get_installed_certificate_ids,
    get_local_list_version,
    get_log,
    heartbeat,
    install_certificate,
    log_status_notification,
    meter_values,
    remote_start_transaction,
    remote_stop_transaction,
    reserve_now,
    reset,
    rotate_password,
    security_event_notification,
    send_local_list,
    set_charging_profile,
    sign_certificate,
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
    # What a station gets wrong every minute is in the log; what it gets right is kept for it.
    held = charger.standing.registration != "accepted"
    read = held and action == "MeterValues" and "transactionId" in payload
    if read or action in TELL_OF_SESSIONS:
        await kept_messages.keep_unmatched(charger, action, payload, now())


COMMANDS: dict[str, Translation] = {
    "cancel_reservation": sends("CancelReservation", cancel_reservation.payload),
    "certificate_signed": sends("CertificateSigned", certificate_signed.payload),
    "change_availability": change_availability.calls,
    "clear_cache": clear_cache.calls,
    "clear_charging_profile": sends("ClearChargingProfile", clear_charging_profile.payload),
    "data_transfer": data_transfer.calls,
    "delete_certificate": sends("DeleteCertificate", delete_certificate.payload),
    "get_composite_schedule": sends("GetCompositeSchedule", get_composite_schedule.payload),
    "get_installed_certificate_ids": get_installed_certificate_ids.calls,
    "get_local_list_version": sends("GetLocalListVersion", get_local_list_version.payload),
    "get_log": get_log.calls,
    "get_variables": get_configuration.calls,
    "install_certificate": sends("InstallCertificate", install_certificate.payload),
    "remote_start": remote_start_transaction.calls,
    "remote_stop": remote_stop_transaction.calls,
    "reserve_now": reserve_now.calls,
    "reset": sends("Reset", reset.payload),
    "rotate_password": rotate_password.calls,
    "send_local_list": send_local_list.calls,
    "set_charging_profile": set_charging_profile.calls,
    "set_variables": change_configuration.calls,
    "trigger_message": trigger_message.calls,
    "unlock_connector": unlock_connector.calls,
    "update_firmware": update_firmware.calls,
}

ANSWERED: dict[str, Answered] = {
    "CancelReservation": reservations.cancelled,
    "CertificateSigned": certificates.handed_over,
    "ChangeConfiguration": change_configuration.answered,
    "ClearChargingProfile": clear_charging_profile.answered,
    "DeleteCertificate": installed_certificates.deleted,
    "GetConfiguration": get_configuration.answered,
    "GetInstalledCertificateIds": get_installed_certificate_ids.answered,
    "GetLocalListVersion": get_local_list_version.answered,
    "InstallCertificate": installed_certificates.installed,
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
        "DiagnosticsStatusNotification": diagnostics_status_notification.answer,
        "FirmwareStatusNotification": firmware_status_notification.answer,
        "Heartbeat": heartbeat.answer,
        "LogStatusNotification": log_status_notification.answer,
        "MeterValues": meter_values.answer,
        "SecurityEventNotification": security_event_notification.answer,
        "SignedFirmwareStatusNotification": signed_firmware_status_notification.answer,
        "SignCertificate": sign_certificate.answer,
        "StartTransaction": start_transaction.answer,
        "StatusNotification": status_notification.answer,
        "StopTransaction": stop_transaction.answer,
    },
    commands=COMMANDS,
    answered=ANSWERED,
    keep=keep,
    giving_password=rotate_password.call,
    refused=REFUSED,
)
