"""RemoteStartTransaction (OCPP 1.6, 5.11)."""

from typing import Any

from common.clock import now
from csms_gateway import transaction_limits
from csms_gateway.charger import Call, Charger
from csms_gateway.charging_profile_forms import check_sayable, for_a_start, profile_16
from csms_gateway.commands import request_ids
from csms_gateway.commands.kinds import RemoteStart
from csms_gateway.v16.id_tag import id_tag


async def calls(charger: Charger, command: RemoteStart) -> list[Call]:
    if command.limits is not None:
        await transaction_limits.check(charger, command.limits)
    found: dict[str, Any] = {"idTag": id_tag(command.id_token)}
    if command.evse_id is not None:
        found["connectorId"] = command.evse_id
    if command.charging_profile is not None:
        profile = for_a_start(command.charging_profile)
        check_sayable(profile, charger.version.schemas)
        number = profile.id
        if number is None:
            number = await request_ids.following(charger)
        found["chargingProfile"] = profile_16(profile, number, now())
    return [Call("RemoteStartTransaction", found)]
