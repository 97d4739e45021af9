"""CertificateSigned (OCPP 2.0.1, A02; 2.1 names the request that it answers)."""

from typing import Any

from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import CertificateSigned
from csms_gateway.v201.sign_certificate import USES

NAMES = {use: name for name, use in USES.items()}


async def calls(charger: Charger, command: CertificateSigned) -> list[Call]:
    payload: dict[str, Any] = {"certificateChain": command.chain}
    if command.use is not None:
        payload["certificateType"] = NAMES[command.use]
    if command.request_id is not None and charger.version.schemas == "v21":
        payload["requestId"] = command.request_id
    return [Call("CertificateSigned", payload)]
