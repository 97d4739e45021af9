"""ReserveNow (OCPP 2.0.1, H01)."""

from typing import Any

from csms_gateway import reservations
from csms_gateway.charger import Call, Charger
from csms_gateway.clocks import wire_time
from csms_gateway.commands import request_ids
from csms_gateway.commands.kinds import ReserveNow
from csms_gateway.v201.id_token_info import GROUP_TYPE


async def calls(charger: Charger, command: ReserveNow) -> list[Call]:
    number = command.reservation_id
    if number is None:
        number = await request_ids.following(charger)
    found: dict[str, Any] = {
        "id": number,
        "expiryDateTime": wire_time(command.expires_at),
        "idToken": {"idToken": command.id_token, "type": command.id_token_type},
    }
    if command.evse_id is not None:
        found["evseId"] = command.evse_id
    if command.connector_type is not None:
        found["connectorType"] = command.connector_type
    if command.group_id_token is not None:
        found["groupIdToken"] = {"idToken": command.group_id_token, "type": GROUP_TYPE}
    await reservations.requested(charger, _wanted(found))
    return [Call("ReserveNow", found)]


def _wanted(payload: dict[str, Any]) -> reservations.Wanted:
    return reservations.Wanted(
        reservation_id=payload["id"],
        evse_id=payload.get("evseId"),
        connector_type=payload.get("connectorType"),
        id_token=payload["idToken"]["idToken"],
        id_token_type=payload["idToken"]["type"],
        group_id_token=payload.get("groupIdToken", {}).get("idToken"),
        expires_at=payload["expiryDateTime"],
    )


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    await reservations.answered(charger, _wanted(payload), answer["status"])


async def refused(charger: Charger, payload: dict[str, Any], code: str) -> None:
    await reservations.answered(charger, _wanted(payload), code)
