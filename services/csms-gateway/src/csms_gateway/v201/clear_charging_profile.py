"""ClearChargingProfile (OCPP 2.0.1, K10)."""

from typing import Any

from csms_gateway.charger import Charger, Unsupported
from csms_gateway.charging_profile_forms import PURPOSES_2
from csms_gateway.charging_profile_sending import cleared
from csms_gateway.commands.kinds import ClearChargingProfile


def payload(command: ClearChargingProfile) -> dict[str, Any]:
    if command.purpose == "station_external":
        raise Unsupported("external limits are not ours to clear")  # K10.FR.06
    criteria = {
        "evseId": command.evse_id,
        "chargingProfilePurpose": command.purpose and PURPOSES_2[command.purpose],
        "stackLevel": command.stack_level,
    }
    criteria = {name: value for name, value in criteria.items() if value is not None}
    if command.profile_id is not None:
        if criteria:
            raise Unsupported("OCPP 2.x clears by id or by criteria")  # K10.FR.02
        return {"chargingProfileId": command.profile_id}
    if not criteria:
        raise Unsupported("OCPP 2.x clears by id or by at least one criterion")
    return {"chargingProfileCriteria": criteria}


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    number = payload.get("chargingProfileId")
    criteria = payload.get("chargingProfileCriteria", {})
    await cleared(
        charger,
        answer["status"],
        numbers=None if number is None else [number],
        evse_id=criteria.get("evseId"),
        purpose=criteria.get("chargingProfilePurpose"),
        stack_level=criteria.get("stackLevel"),
    )
