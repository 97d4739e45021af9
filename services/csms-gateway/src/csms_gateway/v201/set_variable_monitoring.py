"""SetVariableMonitoring (OCPP 2.0.1, N04): mirrored, in as many messages as the station needs."""

from typing import Any, Final

from csms_gateway.charger import Call, Charger, Translation
from csms_gateway.device_model import batches
from csms_gateway.v201 import mirrored
from csms_gateway.v201.get_variables import limits

CONTROLLER: Final = "MonitoringCtrlr"


def in_batches(kind: str, member: str) -> Translation:
    """A mirrored command of monitors, whose member has no more items than the station takes."""
    translate = mirrored.translation(kind)

    async def calls(charger: Charger, command: Any) -> list[Call]:
        (call,) = await translate(charger, command)
        items_max, bytes_max = await limits(charger, call.action, CONTROLLER)
        return [
            Call(call.action, call.payload | {member: batch})
            for batch in batches(call.payload[member], items_max, bytes_max)
        ]

    return calls


calls: Final = in_batches("set_variable_monitoring", "setMonitoringData")  # N04.FR.09
