"""GetChargingProfiles (OCPP 2.0.1, K09): what follows from its answer; the reports come apart."""

from typing import Any

from csms_gateway.charger import Charger
from csms_gateway.charging_profile_sending import OURS, cleared


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    """NoProfiles: none of those asked for is there, so none that we believed to be there is."""
    if answer["status"] != "NoProfiles":
        return
    criteria = payload["chargingProfile"]
    if OURS not in criteria.get("chargingLimitSource", [OURS]):
        return  # asked for those of others only
    await cleared(
        charger,
        "NoProfiles",
        numbers=criteria.get("chargingProfileId"),
        evse_id=payload.get("evseId"),
        purpose=criteria.get("chargingProfilePurpose"),
        stack_level=criteria.get("stackLevel"),
    )
