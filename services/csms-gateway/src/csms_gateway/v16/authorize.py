"""Authorize (OCPP 1.6, 4.1)."""

from typing import Any

from csms_gateway import cost_messages
from csms_gateway.charger import Charger
from csms_gateway.v16.id_tag import id_tag_info


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    # Undecided becomes InternalError: the charger then falls back to its own list or cache.
    decision = await charger.gateway.authorizer.decide(
        charger.operator_id, charger.station_id, None, payload["idTag"]
    )
    cost_messages.authorized(charger, payload["idTag"], decision)
    return {
        "idTagInfo": id_tag_info(decision.status, decision.expires_at, decision.parent_id_token)
    }
