"""SetDefaultTariff (OCPP 2.1, I07): the tariff given, or else the operator's own as it is now."""

from typing import Any, Final

from common.clock import now
from csms_gateway import variables
from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.tariffs_told import VALID, prices_of
from csms_gateway.v21.tariff_type import fields, tariff_type

CONDITIONS: Final = """
select lower(value) from variable
where station_id = $1 and lower(component) = 'tariffcostctrlr'
and lower(variable) = 'conditionssupported' and lower(variable_instance) = 'tariff'
and attribute = 'Actual' order by seen_at desc limit 1
"""


async def calls(charger: Charger, command: Any) -> list[Call]:
    """command: the mirrored SetDefaultTariff. Raises Unsupported."""
    tariff = command.tariff
    if tariff is None:
        at = now()
        row = await charger.gateway.pool.fetchrow(VALID, charger.operator_id, at)
        if row is None:
            raise Unsupported("the operator has no tariff whose prices are known here")
        tariff = tariff_type(prices_of(row), at)
        await _check(charger, tariff)
    return [Call("SetDefaultTariff", {"evseId": command.evse_id, "tariff": tariff})]


async def _check(charger: Charger, tariff: dict[str, Any]) -> None:
    """Raises Unsupported for what the station has said it cannot reckon with."""
    if any("conditions" in one for prices in fields(tariff) for one in prices):
        told = await charger.gateway.pool.fetchval(CONDITIONS, charger.station_id)
        if told == "false":
            raise Unsupported("the tariff has conditions, which the station does not support")
    most = await variables.number(charger, "TariffCostCtrlr", "MaxElements", "Tariff")
    count = max(map(len, fields(tariff)), default=0)
    if most is not None and count > most:
        raise Unsupported(f"the tariff has {count} prices of one kind, the station takes {most}")
