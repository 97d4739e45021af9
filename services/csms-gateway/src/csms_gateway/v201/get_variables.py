"""GetVariables (OCPP 2.0.1, B06)."""

from typing import Any

from csms_gateway import cost_updates, variables
from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.commands.kinds import GetVariables, VariableName
from csms_gateway.device_model import batches, ocpp

CONTROLLER = "DeviceDataCtrlr"
ITEMS_UNKNOWN = 20  # a message, as long as the station has not told its own limit
FRAME_BYTES = 100  # of BytesPerMessage: the frame around the items


async def limits(
    charger: Charger, action: str, controller: str = CONTROLLER
) -> tuple[int, int | None]:
    """Items and bytes of items that the station takes in a message (B05.FR.11, B06.FR.05)."""
    items = await variables.number(charger, controller, "ItemsPerMessage", action)
    size = await variables.number(charger, controller, "BytesPerMessage", action)
    return items or ITEMS_UNKNOWN, size and max(size - FRAME_BYTES, 0)


def check(names: list[VariableName]) -> None:
    """Raises Unsupported."""
    for one in names:
        if one.component is None:
            raise Unsupported(f"OCPP 2.x needs the component of {one.variable}")
        if one.connector_id is not None and one.evse_id is None:
            raise Unsupported(f"a connector needs its EVSE: {one.component}, {one.variable}")


async def calls(charger: Charger, command: GetVariables) -> list[Call]:
    if not command.variables:
        raise Unsupported("OCPP 2.x reads all variables by get_base_report")
    check([*command.variables])
    items_max, bytes_max = await limits(charger, "GetVariables")
    return [
        Call("GetVariables", {"getVariableData": batch})
        for batch in batches(map(ocpp, command.variables), items_max, bytes_max)
    ]


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    await variables.got(charger, payload, answer)
    await cost_updates.from_variables(charger, payload, answer)
