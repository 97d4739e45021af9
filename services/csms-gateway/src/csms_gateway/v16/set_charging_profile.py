"""SetChargingProfile (OCPP 1.6, 5.16)."""

from typing import Any

from common.clock import now
from csms_gateway import charging_profile_sending
from csms_gateway.charger import Call, Charger
from csms_gateway.charging_profile_forms import profile_16
from csms_gateway.commands.kinds import SetChargingProfile


async def calls(charger: Charger, command: SetChargingProfile) -> list[Call]:
    found = await charging_profile_sending.resolved(charger, command, same_place_is_replaced=True)
    transaction_id = found.transaction["id"] if found.transaction else None
    profile = profile_16(found.profile, found.number, now(), transaction_id)
    payload = {"connectorId": found.evse_id, "csChargingProfiles": profile}
    return [Call("SetChargingProfile", payload)]


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    if answer["status"] != "Accepted":
        return
    profile = payload["csChargingProfiles"]
    told = charging_profile_sending.Told(
        profile["chargingProfileId"], payload["connectorId"], profile
    )
    await charging_profile_sending.installed(charger, told, same_place_is_replaced=True)
