"""SignCertificate (1.6 security whitepaper, A02 and A03)."""

from typing import Any

from csms_gateway import certificates
from csms_gateway.charger import Charger


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    refused = await certificates.requested(charger, payload["csr"], None)
    return {"status": "Rejected" if refused else "Accepted"}
