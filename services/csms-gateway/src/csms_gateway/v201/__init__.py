"""OCPP 2.0.1: one file per action, from the charger's words to ours."""

from typing import Any

from common.clock import now
from csms_gateway import certificates, installed_certificates, transactions
from csms_gateway.charger import Answered, Charger, Handler, Translation, Version, sends
from csms_gateway.v201 import (
    authorize,
    boot_notification,
    certificate_signed,
    data_transfer,
    delete_certificate,
    get_15118_ev_certificate,
    get_certificate_status,
    get_installed_certificate_ids,
    heartbeat,
    install_certificate,
    meter_values,
    mirrored,
    request_start_transaction,
    request_stop_transaction,
    reset,
    rotate_password,
    sign_certificate,
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
    "Get15118EVCertificate": get_15118_ev_certificate.answer,
    "GetCertificateStatus": get_certificate_status.answer,
    "Heartbeat": heartbeat.answer,
    "MeterValues": meter_values.answer,
    "SignCertificate": sign_certificate.answer,
    "StatusNotification": status_notification.answer,
    "TransactionEvent": transaction_event.answer,
}

COMMANDS: dict[str, Translation] = {
    **mirrored.commands("v201"),
    "certificate_signed": certificate_signed.calls,
    "delete_certificate": sends("DeleteCertificate", delete_certificate.payload),
    "get_installed_certificate_ids": sends(
        "GetInstalledCertificateIds", get_installed_certificate_ids.payload
    ),
    "install_certificate": sends("InstallCertificate", install_certificate.payload),
    "remote_start": request_start_transaction.calls,
    "remote_stop": request_stop_transaction.calls,
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
    name="ocpp2.0.1",
    schemas="v201",
    actions=ACTIONS,
    commands=COMMANDS,
    answered=ANSWERED,
    bad_frame="RpcFrameworkError",
    keep=keep,
)
