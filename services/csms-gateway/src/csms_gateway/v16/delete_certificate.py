"""DeleteCertificate (1.6 security whitepaper, M04)."""

from typing import Any

from csms_gateway.commands.kinds import DeleteCertificate


def payload(command: DeleteCertificate) -> dict[str, Any]:
    return {"certificateHashData": command.hash_data()}
