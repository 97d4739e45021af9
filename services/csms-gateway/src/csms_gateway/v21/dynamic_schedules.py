"""Charging profiles whose limit changes while they run (OCPP 2.1, K28, Q04).

What was last sent to a station and taken is what it gets when it asks for it.
"""

from typing import Any, Final

import orjson

from common.clock import now
from csms_gateway.charger import Charger
from csms_gateway.integers import INTEGER_END
from csms_gateway.stored_json import as_json

KEEP: Final = """
insert into dynamic_schedule (station_id, profile_id, operator_id, schedule_update, updated_at)
values ($1, $2, $3, $4, $5)
on conflict (station_id, profile_id) do update
set operator_id = $3, schedule_update = $4, updated_at = $5
"""
LAST: Final = """
select schedule_update from dynamic_schedule where station_id = $1 and profile_id = $2
"""
FORGET: Final = "delete from dynamic_schedule where station_id = $1 and profile_id = $2"
PHASES: Final = ("", "_L2", "_L3")
NAMES: Final = tuple(
    f"{name}{phase}"
    for name in ("limit", "dischargeLimit", "setpoint", "setpointReactive")
    for phase in PHASES
)


async def pulled(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    """PullDynamicScheduleUpdate (K28.FR.07 and 12)."""
    profile_id = payload["chargingProfileId"]
    row = None
    if abs(profile_id) < INTEGER_END:
        row = await charger.gateway.pool.fetchrow(LAST, charger.station_id, profile_id)
    if row is None:
        info = {
            "reasonCode": "InvalidProfile",
            "additionalInfo": f"no dynamic profile {profile_id} was sent to this station",
        }
        return {"status": "Rejected", "statusInfo": info}
    return {"status": "Accepted", "scheduleUpdate": orjson.loads(row["schedule_update"])}


async def updated(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    """What follows from UpdateDynamicSchedule."""
    if answer.get("status") == "Accepted":
        await _keep(charger, payload["chargingProfileId"], payload["scheduleUpdate"])


async def installed(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    """What follows from SetChargingProfile."""
    profile = payload["chargingProfile"]
    if answer.get("status") != "Accepted":
        return
    if profile["chargingProfileKind"] != "Dynamic":
        # The same id now is another kind of profile.
        await charger.gateway.pool.execute(FORGET, charger.station_id, profile["id"])
        return
    period = profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]
    await _keep(charger, profile["id"], {name: period[name] for name in NAMES if name in period})


async def cleared(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    """What follows from ClearChargingProfile by id."""
    profile_id = payload.get("chargingProfileId")
    if answer.get("status") == "Accepted" and profile_id is not None:
        await charger.gateway.pool.execute(FORGET, charger.station_id, profile_id)


async def _keep(charger: Charger, profile_id: int, update: dict[str, Any]) -> None:
    await charger.gateway.pool.execute(
        KEEP, charger.station_id, profile_id, charger.operator_id, as_json(update), now()
    )
