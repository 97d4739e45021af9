"""RequestStartTransaction (OCPP 2.0.1, F01 and F02)."""

from typing import Any

from common.clock import now
from csms_gateway import ad_hoc_payments, transaction_limits
from csms_gateway.charger import Call, Charger
from csms_gateway.charging_profile_forms import check_sayable, for_a_start, profile_2
from csms_gateway.commands import request_ids
from csms_gateway.commands.kinds import RemoteStart
from csms_gateway.v201.id_token_info import GROUP_TYPE


async def calls(charger: Charger, command: RemoteStart) -> list[Call]:
    if command.limits is not None:
        await transaction_limits.check(charger, command.limits)
    found: dict[str, Any] = {
        "remoteStartId": await request_ids.following(charger),
        "idToken": {
            "idToken": command.id_token,
            "type": ad_hoc_payments.token_type(charger, command.id_token_type),
        },
    }
    if command.evse_id is not None:
        found["evseId"] = command.evse_id
    if command.group_id_token is not None:
        found["groupIdToken"] = {"idToken": command.group_id_token, "type": GROUP_TYPE}
    if command.charging_profile is not None:
        profile = for_a_start(command.charging_profile)
        check_sayable(profile, charger.version.schemas)
        number = profile.id
        if number is None:
            number = await request_ids.following(charger)
        found["chargingProfile"] = profile_2(profile, number, now())
    return [Call("RequestStartTransaction", found)]
