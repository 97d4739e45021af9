"""StopTransaction (OCPP 1.6, 4.10)."""

from typing import Any, Final
from uuid import UUID

from csms_gateway import transactions
from csms_gateway.authorizing import Undecided
from csms_gateway.charger import Charger
from csms_gateway.readings import short
from csms_gateway.v16 import meter_values
from csms_gateway.v16.id_tag import id_tag_info
from csms_gateway.v16.start_transaction import ID_TOKEN_MAX, TIMESTAMP_MAX, register

LOCAL: Final = "Local"  # what it means when no reason is given (4.10, 6.49)


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    """Always answered: a charger without an answer would repeat the stop for ever."""
    id_tag = (payload.get("idTag") or "")[:ID_TOKEN_MAX] or None
    found = payload.get("transactionData", [])

    async def readings(session_id: UUID | None, evse_id: int) -> None:
        if found:
            await meter_values.store(charger, evse_id, session_id, found, payload)

    await transactions.stop(
        charger,
        transactions.StopReport(
            transaction_id=payload["transactionId"],
            id_token=id_tag,
            meter_stop_wh=register(payload, "meterStop"),
            at=payload["timestamp"][:TIMESTAMP_MAX],
            reason=short(payload.get("reason", LOCAL)),
            payload=payload,
        ),
        readings,
    )
    if not id_tag:
        return {}
    try:
        decision = await charger.gateway.authorizer.decide(
            charger.operator_id, charger.station_id, None, id_tag
        )
    except Undecided:
        return {}  # idTagInfo is optional here; the session is over either way
    return {
        "idTagInfo": id_tag_info(decision.status, decision.expires_at, decision.parent_id_token)
    }
