"""SignCertificate (OCPP 2.0.1, A02 and A03; 2.1 numbers it)."""

from typing import Any, Final

from csms_gateway import certificates
from csms_gateway.certificates import Use
from csms_gateway.charger import Charger

USES: Final[dict[str, Use]] = {
    "ChargingStationCertificate": "station",
    "V2GCertificate": "v2g",
    "V2G20Certificate": "v2g20",
}


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    use = USES.get(payload.get("certificateType", ""))
    refused = await certificates.requested(charger, payload["csr"], use, payload.get("requestId"))
    if refused is None:
        return {"status": "Accepted"}
    info = {"reasonCode": "CSRNotSigned", "additionalInfo": refused[:512]}
    return {"status": "Rejected", "statusInfo": info}
