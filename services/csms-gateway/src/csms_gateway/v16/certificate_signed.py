"""CertificateSigned (1.6 security whitepaper, A02)."""

from typing import Any

from csms_gateway.charger import Unsupported
from csms_gateway.commands.kinds import CertificateSigned


def payload(command: CertificateSigned) -> dict[str, Any]:
    if command.use not in {None, "station"}:
        raise Unsupported("OCPP 1.6 knows the charge point's certificate only")
    return {"certificateChain": command.chain}
