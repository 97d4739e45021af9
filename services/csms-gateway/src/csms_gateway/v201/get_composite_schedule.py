"""GetCompositeSchedule (OCPP 2.0.1, K08)."""

from typing import Any

from csms_gateway.commands.kinds import GetCompositeSchedule


def payload(command: GetCompositeSchedule) -> dict[str, Any]:
    found: dict[str, Any] = {"evseId": command.evse_id, "duration": command.duration_s}
    if command.unit:
        found["chargingRateUnit"] = command.unit
    return found
