"""SetChargingProfile (OCPP 2.0.1, K01)."""

from typing import Any

from common.clock import now
from csms_gateway import charging_profile_sending
from csms_gateway.charger import Call, Charger
from csms_gateway.charging_profile_forms import profile_2
from csms_gateway.commands.kinds import SetChargingProfile


async def calls(charger: Charger, command: SetChargingProfile) -> list[Call]:
    found = await charging_profile_sending.resolved(charger, command, same_place_is_replaced=False)
    transaction_id = found.transaction["ocpp_id"] if found.transaction else None
    profile = profile_2(found.profile, found.number, now(), transaction_id)
    payload = {"evseId": found.evse_id, "chargingProfile": profile}
    return [Call("SetChargingProfile", payload)]


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    if answer["status"] == "Accepted":
        profile = payload["chargingProfile"]
        told = charging_profile_sending.Told(profile["id"], payload["evseId"], profile)
        await charging_profile_sending.installed(charger, told)
