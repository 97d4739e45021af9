"""ClearChargingProfile (OCPP 1.6, 5.5)."""

from typing import Any

from csms_gateway.charger import Charger, Unsupported
from csms_gateway.charging_profile_forms import PURPOSES_16
from csms_gateway.charging_profile_sending import cleared
from csms_gateway.commands.kinds import ClearChargingProfile


def payload(command: ClearChargingProfile) -> dict[str, Any]:
    """Without any criterion it clears every profile."""
    if command.purpose == "station_external":
        raise Unsupported("external limits are not ours to clear")
    found = {
        "id": command.profile_id,
        "connectorId": command.evse_id,
        "chargingProfilePurpose": command.purpose and PURPOSES_16[command.purpose],
        "stackLevel": command.stack_level,
    }
    return {name: value for name, value in found.items() if value is not None}


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    number = payload.get("id")
    await cleared(
        charger,
        answer["status"],
        numbers=None if number is None else [number],
        evse_id=payload.get("connectorId"),
        purpose=payload.get("chargingProfilePurpose"),
        stack_level=payload.get("stackLevel"),
    )
