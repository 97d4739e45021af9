"""ClearVariableMonitoring (OCPP 2.0.1, N06): mirrored, in as many messages as the station needs."""

from typing import Any

from csms_gateway.charger import Call, Charger
from csms_gateway.device_model import batches
from csms_gateway.v201 import mirrored
from csms_gateway.v201.get_variables import limits
from csms_gateway.v201.set_variable_monitoring import CONTROLLER

_translate = mirrored.translation("clear_variable_monitoring")


async def calls(charger: Charger, command: Any) -> list[Call]:
    (call,) = await _translate(charger, command)
    items_max, bytes_max = await limits(charger, call.action, CONTROLLER)  # N06.FR.04
    return [
        Call(call.action, call.payload | {"id": batch})
        for batch in batches(call.payload["id"], items_max, bytes_max)
    ]
