"""OCPP 1.6J: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import certificates, installed_certificates, transactions
from csms_gateway.charger import Answered, Charger, Translation, Version, sends
from csms_gateway.v16 import (
    authorize,
    boot_notification,
    certificate_signed,
    data_transfer,
    delete_certificate,
    get_installed_certificate_ids,
    heartbeat,
    install_certificate,
    meter_values,
    remote_start_transaction,
    remote_stop_transaction,
    reset,
    rotate_password,
    sign_certificate,
    start_transaction,
    status_notification,
    stop_transaction,
)

TELL_OF_SESSIONS = ("StartTransaction", "StopTransaction")


async def keep(charger: Charger, action: str, payload: dict[str, Any]) -> None:
    if action in TELL_OF_SESSIONS:
        await transactions.keep_unmatched(charger, action, payload, now())


COMMANDS: dict[str, Translation] = {
    "certificate_signed": sends("CertificateSigned", certificate_signed.payload),
    "delete_certificate": sends("DeleteCertificate", delete_certificate.payload),
    "get_installed_certificate_ids": get_installed_certificate_ids.calls,
    "install_certificate": sends("InstallCertificate", install_certificate.payload),
    "remote_start": sends("RemoteStartTransaction", remote_start_transaction.payload),
    "remote_stop": remote_stop_transaction.calls,
    "reset": sends("Reset", reset.payload),
    "rotate_password": rotate_password.calls,
}

ANSWERED: dict[str, Answered] = {
    "CertificateSigned": certificates.handed_over,
    "DeleteCertificate": installed_certificates.deleted,
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
        "Heartbeat": heartbeat.answer,
        "MeterValues": meter_values.answer,
        "SignCertificate": sign_certificate.answer,
        "StartTransaction": start_transaction.answer,
        "StatusNotification": status_notification.answer,
        "StopTransaction": stop_transaction.answer,
    },
    commands=COMMANDS,
    answered=ANSWERED,
    bad_frame="FormationViolation",
    keep=keep,
)
