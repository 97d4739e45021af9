"""CertificateSigned (1.6 security whitepaper, A02)."""

from typing import Any

from csms_gateway.commands.kinds import CertificateSigned


def payload(command: CertificateSigned) -> dict[str, Any]:
    return {"certificateChain": command.chain}
