"""ReserveNow (OCPP 1.6, 5.13)."""

from typing import Any

from csms_gateway import reservations
from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.clocks import wire_time
from csms_gateway.commands import request_ids
from csms_gateway.commands.kinds import ReserveNow
from csms_gateway.v16.id_tag import id_tag


async def calls(charger: Charger, command: ReserveNow) -> list[Call]:
    if command.connector_type is not None:
        raise Unsupported("OCPP 1.6 reserves connectors by number, not by type")
    number = command.reservation_id
    if number is None:
        number = await request_ids.following(charger)
    found: dict[str, Any] = {
        "connectorId": command.evse_id or 0,  # 0: any
        "expiryDate": wire_time(command.expires_at),
        "idTag": id_tag(command.id_token),
        "reservationId": number,
    }
    if command.group_id_token is not None:
        found["parentIdTag"] = id_tag(command.group_id_token)
    await reservations.requested(charger, _wanted(found))
    return [Call("ReserveNow", found)]


def _wanted(payload: dict[str, Any]) -> reservations.Wanted:
    return reservations.Wanted(
        reservation_id=payload["reservationId"],
        evse_id=payload["connectorId"] or None,
        connector_type=None,
        id_token=payload["idTag"],
        id_token_type=None,
        group_id_token=payload.get("parentIdTag"),
        expires_at=payload["expiryDate"],
    )


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    await reservations.answered(charger, _wanted(payload), answer["status"])


async def refused(charger: Charger, payload: dict[str, Any], code: str) -> None:
    await reservations.answered(charger, _wanted(payload), code)
