"""ChangeConfiguration (OCPP 1.6, 5.3): a call a key."""

from typing import Any

from csms_gateway import cost_updates, variables
from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import SetVariables
from csms_gateway.v16 import outgoing
from csms_gateway.v16.get_configuration import keys


async def calls(_: Charger, command: SetVariables) -> list[Call]:
    return [
        outgoing.call("ChangeConfiguration", {"key": key, "value": one.value})
        for key, one in zip(keys(command.variables), command.variables, strict=True)
    ]


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    await variables.configuration_changed(charger, payload, answer)
    if answer["status"] in variables.TAKEN:
        await cost_updates.from_configuration(charger, [(payload["key"], payload["value"])])
