"""Reset (OCPP 1.6, 5.14)."""

from typing import Any

from csms_gateway.charger import Unsupported
from csms_gateway.commands.kinds import Reset


def payload(command: Reset) -> dict[str, Any]:
    if command.evse_id is not None:
        raise Unsupported("OCPP 1.6 resets the whole station only")
    match command.when:
        case "immediate":
            return {"type": "Hard"}
        case "on_idle":
            return {"type": "Soft"}
    raise Unsupported(f"OCPP 1.6 has no reset {command.when}")
