"""ReportChargingProfiles (OCPP 2.0.1, K09): what is installed, by the station's own word."""

from typing import Any

from csms_gateway import notifications
from csms_gateway.charger import Charger
from csms_gateway.charging_profile_sending import Told, installed


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    await notifications.keep(charger, "ReportChargingProfiles", payload)
    for profile in payload["chargingProfile"]:
        told = Told(profile["id"], payload["evseId"], profile, payload["chargingLimitSource"])
        await installed(charger, told)
    return {}
