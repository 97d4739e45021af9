"""SetDefaultTariff (OCPP 2.1, I07): the tariff given, or else the operator's own as it is now."""

from typing import Any

from common.clock import now
from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.tariffs_told import VALID, prices_of
from csms_gateway.v21.tariff_type import tariff_type


async def calls(charger: Charger, command: Any) -> list[Call]:
    """command: the mirrored SetDefaultTariff. Raises Unsupported."""
    tariff = command.tariff
    if tariff is None:
        at = now()
        row = await charger.gateway.pool.fetchrow(VALID, charger.operator_id, at)
        if row is None:
            raise Unsupported("the operator has no tariff whose prices are known here")
        tariff = tariff_type(prices_of(row), at)
    return [Call("SetDefaultTariff", {"evseId": command.evse_id, "tariff": tariff})]
