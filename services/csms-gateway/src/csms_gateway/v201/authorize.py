"""Authorize (OCPP 2.0.1, C01)."""

from typing import Any

from csms_gateway.charger import Charger
from csms_gateway.v201.id_token_info import id_token_info


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    # Undecided becomes InternalError: the charger then falls back to its own list or cache.
    decision = await charger.gateway.authorizer.decide(
        charger.operator_id, charger.station_id, None, payload["idToken"]["idToken"]
    )
    return {"idTokenInfo": id_token_info(decision)}
