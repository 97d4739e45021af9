"""OCPP 2.0.1: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import (
    certificates,
    installed_certificates,
    kept_messages,
    reservations,
    variables,
)
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
    certificate_signed,
    change_availability,
    clear_cache,
    clear_charging_profile,
    clear_variable_monitoring,
    cleared_charging_limit,
    customer_information,
    data_transfer,
    delete_certificate,
    firmware_status_notification,
    get_15118_ev_certificate,
    get_certificate_status,
    get_charging_profiles,
    get_composite_schedule,
    get_installed_certificate_ids,
    get_local_list_version,
    get_log,
    get_variables,
    heartbeat,
    install_certificate,
    log_status_notification,
    meter_values,
    mirrored,
    notify_charging_limit,
    notify_customer_information,
    notify_display_messages,
    notify_ev_charging_needs,
    notify_ev_charging_schedule,
    notify_event,
    notify_monitoring_report,
    notify_report,
    publish_firmware_status_notification,
    report_charging_profiles,
    request_start_transaction,
    request_stop_transaction,
    reservation_status_update,
    reserve_now,
    reset,
    rotate_password,
    security_event_notification,
    send_local_list,
    set_charging_profile,
    set_display_message,
    set_variable_monitoring,
    set_variables,
    sign_certificate,
    status_notification,
    transaction_event,
    trigger_message,
    unlock_connector,
    update_firmware,
)

# Not readings: a station that gets them wrong does so every minute, and the log has them.
TELL_OF_SESSIONS = {"TransactionEvent", "NotifySettlement"}


async def keep(charger: Charger, action: str, payload: dict[str, Any]) -> None:
    if action in TELL_OF_SESSIONS:
        await kept_messages.keep_unmatched(charger, action, payload, now())


ACTIONS: dict[str, Handler] = {
    "Authorize": authorize.answer,
    "BootNotification": boot_notification.answer,
    "ClearedChargingLimit": cleared_charging_limit.answer,
    "DataTransfer": data_transfer.answer,
    "FirmwareStatusNotification": firmware_status_notification.answer,
    "Get15118EVCertificate": get_15118_ev_certificate.answer,
    "GetCertificateStatus": get_certificate_status.answer,
    "Heartbeat": heartbeat.answer,
    "LogStatusNotification": log_status_notification.answer,
    "MeterValues": meter_values.answer,
    "NotifyChargingLimit": notify_charging_limit.answer,
    "NotifyCustomerInformation": notify_customer_information.answer,
    "NotifyDisplayMessages": notify_display_messages.answer,
    "NotifyEVChargingNeeds": notify_ev_charging_needs.answer,
    "NotifyEVChargingSchedule": notify_ev_charging_schedule.answer,
    "NotifyEvent": notify_event.answer,
    "NotifyMonitoringReport": notify_monitoring_report.answer,
    "NotifyReport": notify_report.answer,
    "PublishFirmwareStatusNotification": publish_firmware_status_notification.answer,
    "ReportChargingProfiles": report_charging_profiles.answer,
    "ReservationStatusUpdate": reservation_status_update.answer,
    "SecurityEventNotification": security_event_notification.answer,
    "SignCertificate": sign_certificate.answer,
    "StatusNotification": status_notification.answer,
    "TransactionEvent": transaction_event.answer,
}

COMMANDS: dict[str, Translation] = {
    **mirrored.commands("v201"),
    "cancel_reservation": sends("CancelReservation", cancel_reservation.payload),
    "certificate_signed": certificate_signed.calls,
    "change_availability": sends("ChangeAvailability", change_availability.payload),
    "clear_cache": sends("ClearCache", clear_cache.payload),
    "clear_charging_profile": sends("ClearChargingProfile", clear_charging_profile.payload),
    "clear_variable_monitoring": clear_variable_monitoring.calls,
    "customer_information": customer_information.calls,
    "data_transfer": sends("DataTransfer", data_transfer.payload),
    "delete_certificate": sends("DeleteCertificate", delete_certificate.payload),
    "get_composite_schedule": sends("GetCompositeSchedule", get_composite_schedule.payload),
    "get_installed_certificate_ids": get_installed_certificate_ids.calls,
    "get_local_list_version": sends("GetLocalListVersion", get_local_list_version.payload),
    "get_log": get_log.calls,
    "get_variables": get_variables.calls,
    "install_certificate": install_certificate.calls,
    "remote_start": request_start_transaction.calls,
    "remote_stop": request_stop_transaction.calls,
    "reserve_now": reserve_now.calls,
    "reset": sends("Reset", reset.payload),
    "rotate_password": rotate_password.calls,
    "send_local_list": send_local_list.calls,
    "set_charging_profile": set_charging_profile.calls,
    "set_display_message": set_display_message.calls,
    "set_variable_monitoring": set_variable_monitoring.calls,
    "set_variables": set_variables.calls,
    "trigger_message": trigger_message.calls,
    "unlock_connector": sends("UnlockConnector", unlock_connector.payload),
    "update_firmware": update_firmware.calls,
}

ANSWERED: dict[str, Answered] = {
    "CancelReservation": reservations.cancelled,
    "CertificateSigned": certificates.handed_over,
    "ClearChargingProfile": clear_charging_profile.answered,
    "DeleteCertificate": installed_certificates.deleted,
    "GetChargingProfiles": get_charging_profiles.answered,
    "GetInstalledCertificateIds": get_installed_certificate_ids.answered,
    "GetLocalListVersion": get_local_list_version.answered,
    "GetVariables": get_variables.answered,
    "InstallCertificate": installed_certificates.installed,
    "ReserveNow": reserve_now.answered,
    "SendLocalList": send_local_list.answered,
    "SetChargingProfile": set_charging_profile.answered,
    "SetVariables": variables.were_set,
}

REFUSED: dict[str, Refused] = {"ReserveNow": reserve_now.refused}

VERSION = Version(
    name="ocpp2.0.1",
    schemas="v201",
    actions=ACTIONS,
    commands=COMMANDS,
    answered=ANSWERED,
    keep=keep,
    refused=REFUSED,
)
