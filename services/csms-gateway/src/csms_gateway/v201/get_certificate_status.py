"""GetCertificateStatus (OCPP 2.0.1, M06): the responder's answer, as it is."""

import base64
from functools import partial
from typing import Any, Final

from csms_gateway import contracts
from csms_gateway.charger import Charger
from csms_gateway.ocsp import NotKnown

RESULT_MAX: Final = {"v201": 5500, "v21": 18_000}


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    data = payload["ocspRequestData"]
    signed = partial(contracts.require_signed, anchors=charger.gateway.contract_roots)
    try:
        # Whoever asks checks it too: not to know its issuer here is no reason to keep it back.
        status = await charger.gateway.responders.ask(data, data["responderURL"], signed)
    except NotKnown as unknown:
        return _failed(str(unknown))
    encoded = base64.b64encode(status.der).decode()
    if len(encoded) > RESULT_MAX[charger.version.schemas]:
        return _failed("the responder's answer is longer than OCPP allows")
    return {"status": "Accepted", "ocspResult": encoded}


def _failed(why: str) -> dict[str, Any]:
    info = {"reasonCode": "NoOCSPStatus", "additionalInfo": why[:512]}
    return {"status": "Failed", "statusInfo": info}
