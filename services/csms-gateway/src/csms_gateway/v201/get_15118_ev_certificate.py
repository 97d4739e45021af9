"""Get15118EVCertificate (OCPP 2.0.1, M01 and M02): passed on to the ISO 15118 provider."""

from typing import Any

from csms_gateway import iso15118
from csms_gateway.charger import Charger


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    try:
        return await iso15118.contract_certificate(
            charger.gateway, charger.station_id, charger.version.schemas, payload
        )
    except iso15118.NoProvider as missing:
        reason, why = "NoProvider", str(missing)
    except iso15118.ProviderFailed as failed:
        reason, why = "ProviderFailed", str(failed)
    info = {"reasonCode": reason, "additionalInfo": why[:512]}
    return {"status": "Failed", "exiResponse": "", "statusInfo": info}
