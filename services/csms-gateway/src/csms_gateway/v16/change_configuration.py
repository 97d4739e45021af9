"""ChangeConfiguration (OCPP 1.6, 5.3): a call a key."""

from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import SetVariables
from csms_gateway.v16 import outgoing
from csms_gateway.v16.get_configuration import keys


async def calls(_: Charger, command: SetVariables) -> list[Call]:
    return [
        outgoing.call("ChangeConfiguration", {"key": key, "value": one.value})
        for key, one in zip(keys(command.variables), command.variables, strict=True)
    ]
