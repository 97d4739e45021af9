"""ClearCache (OCPP 1.6, 5.4)."""

from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import ClearCache
from csms_gateway.v16 import outgoing


async def calls(_: Charger, __: ClearCache) -> list[Call]:
    return [outgoing.call("ClearCache", {})]
