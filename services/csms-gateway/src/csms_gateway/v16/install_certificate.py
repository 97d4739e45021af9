"""InstallCertificate (1.6 security whitepaper, M05)."""

from typing import Any, Final

from csms_gateway.charger import Unsupported
from csms_gateway.commands.kinds import InstallCertificate

USES: Final = {
    "csms_root": "CentralSystemRootCertificate",
    "manufacturer_root": "ManufacturerRootCertificate",
}


def name_of(use: str) -> str:
    """Raises Unsupported."""
    if use not in USES:
        raise Unsupported(f"OCPP 1.6 has no certificates for {use}")
    return USES[use]


def payload(command: InstallCertificate) -> dict[str, Any]:
    return {"certificateType": name_of(command.use), "certificate": command.certificate}
