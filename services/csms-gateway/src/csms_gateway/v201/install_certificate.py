"""InstallCertificate (OCPP 2.0.1, M05)."""

from typing import Final

from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.commands.kinds import InstallCertificate

USES: Final = {
    "csms_root": "CSMSRootCertificate",
    "manufacturer_root": "ManufacturerRootCertificate",
    "v2g_root": "V2GRootCertificate",
    "mo_root": "MORootCertificate",
    "oem_root": "OEMRootCertificate",
    "v2g_chain": "V2GCertificateChain",
}


def name_of(charger: Charger, use: str) -> str:
    """Raises Unsupported."""
    if use == "oem_root" and charger.version.schemas == "v201":
        raise Unsupported("OCPP 2.0.1 has no certificates for oem_root")
    return USES[use]


async def calls(charger: Charger, command: InstallCertificate) -> list[Call]:
    name = name_of(charger, command.use)
    payload = {"certificateType": name, "certificate": command.certificate}
    return [Call("InstallCertificate", payload)]
