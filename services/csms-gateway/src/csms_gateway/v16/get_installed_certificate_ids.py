"""GetInstalledCertificateIds (1.6 security whitepaper, M03): one use a call."""

from typing import Any

from csms_gateway import installed_certificates
from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import GetInstalledCertificateIds
from csms_gateway.v16.install_certificate import USES, name_of


async def calls(_: Charger, command: GetInstalledCertificateIds) -> list[Call]:
    uses: list[str] = [*command.uses] or list(USES)
    return [Call("GetInstalledCertificateIds", {"certificateType": name_of(use)}) for use in uses]


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    use = payload["certificateType"]
    found = answer.get("certificateHashData", [])
    await installed_certificates.listed(charger, [use], [(use, one, None) for one in found])
