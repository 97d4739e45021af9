"""OCPP 1.6J: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import certificates, installed_certificates, transactions, variables
from csms_gateway.charger import Answered, Charger, Translation, Version, sends
from csms_gateway.v16 import (
    authorize,
    boot_notification,
    certificate_signed,
    change_availability,
    change_configuration,
    clear_cache,
    data_transfer,
    delete_certificate,
    diagnostics_status_notification,
    firmware_status_notification,
    get_configuration,
    get_installed_certificate_ids,
    get_log,
    heartbeat,
    install_certificate,
    log_status_notification,
    meter_values,
    remote_start_transaction,
    remote_stop_transaction,
    reset,
    rotate_password,
    security_event_notification,
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
    if action in TELL_OF_SESSIONS:
        await transactions.keep_unmatched(charger, action, payload, now())


COMMANDS: dict[str, Translation] = {
    "certificate_signed": sends("CertificateSigned", certificate_signed.payload),
    "change_availability": change_availability.calls,
    "clear_cache": clear_cache.calls,
    "data_transfer": data_transfer.calls,
    "delete_certificate": sends("DeleteCertificate", delete_certificate.payload),
    "get_installed_certificate_ids": get_installed_certificate_ids.calls,
    "get_log": get_log.calls,
    "get_variables": get_configuration.calls,
    "install_certificate": sends("InstallCertificate", install_certificate.payload),
    "remote_start": sends("RemoteStartTransaction", remote_start_transaction.payload),
    "remote_stop": remote_stop_transaction.calls,
    "reset": sends("Reset", reset.payload),
    "rotate_password": rotate_password.calls,
    "set_variables": change_configuration.calls,
    "trigger_message": trigger_message.calls,
    "unlock_connector": unlock_connector.calls,
    "update_firmware": update_firmware.calls,
}

ANSWERED: dict[str, Answered] = {
    "CertificateSigned": certificates.handed_over,
    "ChangeConfiguration": variables.configuration_changed,
    "DeleteCertificate": installed_certificates.deleted,
    "GetConfiguration": variables.configuration_got,
    "GetInstalledCertificateIds": get_installed_certificate_ids.answered,
    "InstallCertificate": installed_certificates.installed,
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
        "SignCertificate": sign_certificate.answer,
        "StartTransaction": start_transaction.answer,
        "StatusNotification": status_notification.answer,
        "StopTransaction": stop_transaction.answer,
    },
    commands=COMMANDS,
    answered=ANSWERED,
    keep=keep,
)
