"""GetCertificateChainStatus (OCPP 2.1, M07): by OCSP; lists (CRL) are not fetched here."""

from datetime import timedelta
from functools import partial
from typing import Any, Final

from cryptography.x509.ocsp import OCSPCertStatus

from common.clock import now
from csms_gateway import contracts
from csms_gateway.charger import Charger
from csms_gateway.clocks import wire_time
from csms_gateway.ocsp import NotKnown

STATUSES: Final = {OCSPCertStatus.GOOD: "Good", OCSPCertStatus.REVOKED: "Revoked"}
AGAIN: Final = timedelta(hours=1)  # after a failure, or if the responder does not say


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    asked = payload["certificateStatusRequests"]
    return {"certificateStatus": [await _status(charger, one) for one in asked]}


async def _status(charger: Charger, asked: dict[str, Any]) -> dict[str, Any]:
    status, until = "Failed", now() + AGAIN
    signed = partial(contracts.require_signed, anchors=charger.gateway.contract_roots)
    for url in asked["urls"] if asked["source"] == "OCSP" else ():
        try:
            told = await charger.gateway.responders.ask(asked["certificateHashData"], url, signed)
        except NotKnown:
            continue
        found = told.response
        status = STATUSES.get(found.certificate_status, "Unknown")
        until = found.next_update_utc or until
        break
    return {
        "certificateHashData": asked["certificateHashData"],
        "source": asked["source"],
        "status": status,
        "nextUpdate": wire_time(until),
    }
