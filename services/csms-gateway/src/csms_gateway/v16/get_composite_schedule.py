"""GetCompositeSchedule (OCPP 1.6, 5.7)."""

from typing import Any

from csms_gateway.commands.kinds import GetCompositeSchedule


def payload(command: GetCompositeSchedule) -> dict[str, Any]:
    found: dict[str, Any] = {"connectorId": command.evse_id, "duration": command.duration_s}
    if command.unit:
        found["chargingRateUnit"] = command.unit
    return found
