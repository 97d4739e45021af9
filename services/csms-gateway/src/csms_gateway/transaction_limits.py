"""Limits of a session that was asked for with some: of cost, energy, time or charge (2.1, F07).

They are no part of the call that asks for the session: they go into the answer to the first event
that names it, until the station has confirmed them (E16.FR.02 and E16.FR.03).
"""

from typing import Any, Final

import orjson

from csms_gateway.charger import Charger, Unsupported
from csms_gateway.commands.kinds import TransactionLimits
from csms_gateway.integers import INTEGER_END

WANTED: Final = """
select parameters -> 'limits' from command
where station_id = $1 and remote_start_id = $2 and state <> 'rejected' order by id desc limit 1
"""
SUPPORTED: Final = """
select value from variable
where station_id = $1 and lower(component) = 'txctrlr' and lower(variable) = 'supportedlimits'
and attribute = 'Actual'
"""


def limits_2(limits: TransactionLimits) -> dict[str, Any]:
    """TransactionLimitType."""
    found = {
        # A number on the wire and nowhere else.
        "maxCost": None if limits.max_cost is None else float(limits.max_cost),
        "maxEnergy": limits.max_energy_wh,
        "maxTime": limits.max_time_s,
        "maxSoC": limits.max_soc_percent,
    }
    return {name: value for name, value in found.items() if value is not None}


async def check(charger: Charger, limits: TransactionLimits) -> None:
    """A session without a limit that was asked for would be another one. Raises Unsupported."""
    if charger.version.schemas != "v21":
        raise Unsupported("a session with limits needs OCPP 2.1")
    told = await charger.gateway.pool.fetchval(SUPPORTED, charger.station_id)
    if told is None:
        return  # it never said which
    able = {name.strip().lower() for name in told.split(",")}
    if unable := [name for name in limits_2(limits) if name.lower() not in able]:
        raise Unsupported(f"the station supports no {', '.join(unable)}")  # E16.FR.12


async def to_tell(
    charger: Charger, payload: dict[str, Any], details: dict[str, Any]
) -> dict[str, Any]:
    """Those of the session's limits that the station does not keep already; details: Known's."""
    number = payload["transactionInfo"].get("remoteStartId")
    if number is None or abs(number) >= INTEGER_END:
        return {}
    stored = await charger.gateway.pool.fetchval(WANTED, charger.station_id, number)
    if stored is None:
        return {}
    wanted = limits_2(TransactionLimits.model_validate(orjson.loads(stored)))
    return missing(wanted, details.get("transactionLimit", {}))


def missing(wanted: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """A lower limit of the station's own, or of its driver, stands (E16.FR.08)."""
    return {name: value for name, value in wanted.items() if name not in told or told[name] > value}
