"""InstallCertificate (OCPP 2.0.1, M05)."""

from typing import Any, Final

from csms_gateway.commands.kinds import InstallCertificate

# OEMRootCertificate is 2.1's; the schema of 2.0.1 refuses it before it is sent.
USES: Final = {
    "csms_root": "CSMSRootCertificate",
    "manufacturer_root": "ManufacturerRootCertificate",
    "v2g_root": "V2GRootCertificate",
    "mo_root": "MORootCertificate",
    "oem_root": "OEMRootCertificate",
    "v2g_chain": "V2GCertificateChain",
}


def payload(command: InstallCertificate) -> dict[str, Any]:
    return {"certificateType": USES[command.use], "certificate": command.certificate}
