"""SetVariables (OCPP 2.0.1, B05)."""

from typing import Any

from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import SetVariables
from csms_gateway.device_model import batches, named, ocpp
from csms_gateway.v201.get_variables import check, limits


def _name(item: dict[str, Any]) -> object:
    return named(item, item.get("attributeType"))


async def calls(charger: Charger, command: SetVariables) -> list[Call]:
    check([*command.variables])
    items_max, bytes_max = await limits(charger, "SetVariables")
    items = [{"attributeValue": one.value, **ocpp(one)} for one in command.variables]
    # B05.FR.13: the same variable is never twice in a message.
    return [
        Call("SetVariables", {"setVariableData": batch})
        for batch in batches(items, items_max, bytes_max, _name)
    ]
