"""DeleteCertificate (OCPP 2.0.1, M04)."""

from typing import Any

from csms_gateway.commands.kinds import DeleteCertificate


def payload(command: DeleteCertificate) -> dict[str, Any]:
    return {"certificateHashData": command.hash_data()}
