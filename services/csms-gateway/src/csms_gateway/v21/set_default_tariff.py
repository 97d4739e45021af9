"""SetDefaultTariff (OCPP 2.1, I07): the tariff given, or else the operator's own as it is now."""

from dataclasses import fields
from typing import Any, Final

from common.clock import now
from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.v21.tariff_type import Prices, tariff_type

CURRENT: Final = """
select * from tariff where operator_id = $1 and valid_from <= $2 order by valid_from desc limit 1
"""


async def calls(charger: Charger, command: Any) -> list[Call]:
    """command: the mirrored SetDefaultTariff. Raises Unsupported."""
    tariff = command.tariff
    if tariff is None:
        at = now()
        row = await charger.gateway.pool.fetchrow(CURRENT, charger.operator_id, at)
        if row is None:
            raise Unsupported("the operator has no tariff whose prices are known here")
        prices = Prices(**{field.name: row[field.name] for field in fields(Prices)})
        tariff = tariff_type(prices, at)
    return [Call("SetDefaultTariff", {"evseId": command.evse_id, "tariff": tariff})]
