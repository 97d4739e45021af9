"""OCPP 2.0.1: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import certificates, installed_certificates, transactions, variables
from csms_gateway.charger import Answered, Charger, Handler, Translation, Version, sends
from csms_gateway.v201 import (
    authorize,
    boot_notification,
    certificate_signed,
    change_availability,
    clear_cache,
    data_transfer,
    delete_certificate,
    firmware_status_notification,
    get_15118_ev_certificate,
    get_certificate_status,
    get_installed_certificate_ids,
    get_log,
    get_variables,
    heartbeat,
    install_certificate,
    log_status_notification,
    meter_values,
    mirrored,
    notify_customer_information,
    notify_display_messages,
    notify_event,
    notify_monitoring_report,
    notify_report,
    publish_firmware_status_notification,
    request_start_transaction,
    request_stop_transaction,
    reset,
    rotate_password,
    security_event_notification,
    set_display_message,
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
        await transactions.keep_unmatched(charger, action, payload, now())


ACTIONS: dict[str, Handler] = {
    "Authorize": authorize.answer,
    "BootNotification": boot_notification.answer,
    "DataTransfer": data_transfer.answer,
    "FirmwareStatusNotification": firmware_status_notification.answer,
    "Get15118EVCertificate": get_15118_ev_certificate.answer,
    "GetCertificateStatus": get_certificate_status.answer,
    "Heartbeat": heartbeat.answer,
    "LogStatusNotification": log_status_notification.answer,
    "MeterValues": meter_values.answer,
    "NotifyCustomerInformation": notify_customer_information.answer,
    "NotifyDisplayMessages": notify_display_messages.answer,
    "NotifyEvent": notify_event.answer,
    "NotifyMonitoringReport": notify_monitoring_report.answer,
    "NotifyReport": notify_report.answer,
    "PublishFirmwareStatusNotification": publish_firmware_status_notification.answer,
    "SecurityEventNotification": security_event_notification.answer,
    "SignCertificate": sign_certificate.answer,
    "StatusNotification": status_notification.answer,
    "TransactionEvent": transaction_event.answer,
}

COMMANDS: dict[str, Translation] = {
    **mirrored.commands("v201"),
    "certificate_signed": certificate_signed.calls,
    "change_availability": sends("ChangeAvailability", change_availability.payload),
    "clear_cache": sends("ClearCache", clear_cache.payload),
    "data_transfer": sends("DataTransfer", data_transfer.payload),
    "delete_certificate": sends("DeleteCertificate", delete_certificate.payload),
    "get_installed_certificate_ids": sends(
        "GetInstalledCertificateIds", get_installed_certificate_ids.payload
    ),
    "get_log": get_log.calls,
    "get_variables": get_variables.calls,
    "install_certificate": sends("InstallCertificate", install_certificate.payload),
    "remote_start": request_start_transaction.calls,
    "remote_stop": request_stop_transaction.calls,
    "reset": sends("Reset", reset.payload),
    "rotate_password": rotate_password.calls,
    "set_display_message": set_display_message.calls,
    "set_variables": set_variables.calls,
    "trigger_message": trigger_message.calls,
    "unlock_connector": sends("UnlockConnector", unlock_connector.payload),
    "update_firmware": update_firmware.calls,
}

ANSWERED: dict[str, Answered] = {
    "CertificateSigned": certificates.handed_over,
    "DeleteCertificate": installed_certificates.deleted,
    "GetInstalledCertificateIds": get_installed_certificate_ids.answered,
    "GetVariables": variables.got,
    "InstallCertificate": installed_certificates.installed,
    "SetVariables": variables.were_set,
}

VERSION = Version(
    name="ocpp2.0.1",
    schemas="v201",
    actions=ACTIONS,
    commands=COMMANDS,
    answered=ANSWERED,
    keep=keep,
)
