"""GetInstalledCertificateIds (OCPP 2.0.1, M03)."""

from typing import Any

from csms_gateway import installed_certificates
from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import GetInstalledCertificateIds
from csms_gateway.v201.install_certificate import name_of


async def calls(charger: Charger, command: GetInstalledCertificateIds) -> list[Call]:
    names = [name_of(charger, use) for use in command.uses]
    # None given: the member is left out, which asks for all of them (M03.FR.03).
    payload: dict[str, Any] = {"certificateType": names} if names else {}
    return [Call("GetInstalledCertificateIds", payload)]


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    chains = [
        (one["certificateType"], one["certificateHashData"], one.get("childCertificateHashData"))
        for one in answer.get("certificateHashDataChain", [])
    ]
    await installed_certificates.listed(charger, payload.get("certificateType"), chains)
