"""GetInstalledCertificateIds (OCPP 2.0.1, M03)."""

from typing import Any

from csms_gateway import installed_certificates
from csms_gateway.charger import Charger
from csms_gateway.commands.kinds import GetInstalledCertificateIds
from csms_gateway.v201.install_certificate import USES


def payload(command: GetInstalledCertificateIds) -> dict[str, Any]:
    # None given: the member is left out, which asks for all of them (M03.FR.03).
    return {"certificateType": [USES[use] for use in command.uses]} if command.uses else {}


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    chains = [
        (one["certificateType"], one["certificateHashData"], one.get("childCertificateHashData"))
        for one in answer.get("certificateHashDataChain", [])
    ]
    await installed_certificates.listed(charger, payload.get("certificateType"), chains)
