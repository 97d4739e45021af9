"""SetVariableMonitoring (OCPP 2.0.1, N04): mirrored, in as many messages as the station needs."""

from typing import Any, Final

from csms_gateway.charger import Call, Charger
from csms_gateway.device_model import batches
from csms_gateway.v201 import mirrored
from csms_gateway.v201.get_variables import limits

CONTROLLER: Final = "MonitoringCtrlr"
_translate = mirrored.translation("set_variable_monitoring")


async def calls(charger: Charger, command: Any) -> list[Call]:
    (call,) = await _translate(charger, command)
    items_max, bytes_max = await limits(charger, call.action, CONTROLLER)  # N04.FR.09
    return [
        Call(call.action, call.payload | {"setMonitoringData": batch})
        for batch in batches(call.payload["setMonitoringData"], items_max, bytes_max)
    ]
