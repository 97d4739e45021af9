"""Reset (OCPP 2.0.1, B11 and B12)."""

from typing import Any, Final

from csms_gateway.commands.kinds import Reset

# ImmediateAndResume is of 2.1; the schema of 2.0.1 refuses it before it is sent.
WHEN: Final = {
    "immediate": "Immediate",
    "on_idle": "OnIdle",
    "immediate_and_resume": "ImmediateAndResume",
}


def payload(command: Reset) -> dict[str, Any]:
    found: dict[str, Any] = {"type": WHEN[command.when]}
    if command.evse_id is not None:
        found["evseId"] = command.evse_id
    return found
