"""GetConfiguration (OCPP 1.6, 5.8)."""

from collections.abc import Sequence
from typing import Any

from csms_gateway import cost_updates, variables
from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.commands.kinds import GetVariables, VariableName
from csms_gateway.device_model import ACTUAL
from csms_gateway.v16 import outgoing

KEYS_UNKNOWN = 20  # a call, as long as the station has not told GetConfigurationMaxKeys (9.1.8)


def keys(names: Sequence[VariableName]) -> list[str]:
    """Configuration keys. Raises Unsupported."""
    for one in names:
        placed = (one.component_instance, one.variable_instance, one.evse_id, one.connector_id)
        if one.attribute != ACTUAL or any(part is not None for part in placed):
            raise Unsupported(f"OCPP 1.6 has plain keys, none like {one.variable} here")
    return [one.variable for one in names]


async def calls(charger: Charger, command: GetVariables) -> list[Call]:
    names = keys(command.variables)
    if not names:
        return [Call("GetConfiguration", {})]
    most = await variables.number(charger, "", "GetConfigurationMaxKeys", "") or KEYS_UNKNOWN
    return [
        outgoing.call("GetConfiguration", {"key": names[first : first + most]})
        for first in range(0, len(names), most)
    ]


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    await variables.configuration_got(charger, payload, answer)
    told = [(one["key"], one.get("value")) for one in answer.get("configurationKey", [])]
    await cost_updates.from_configuration(charger, told)
