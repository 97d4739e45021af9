"""Authorize (OCPP 2.0.1, C01; with a contract certificate C07, with what it costs I01)."""

from typing import Any

from csms_gateway import ad_hoc_payments, contracts
from csms_gateway.charger import Charger
from csms_gateway.v201.id_token_info import id_token_info


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    gateway = charger.gateway
    certificate = await contracts.verdict(gateway.responders, gateway.contract_roots, payload)
    if certificate in contracts.TOKEN_STATUS:
        info = {"status": contracts.TOKEN_STATUS[certificate]}
        return {"idTokenInfo": info, "certificateStatus": certificate}
    token = payload["idToken"]
    decision = await ad_hoc_payments.paid(charger, token["idToken"], token["type"])
    if decision is None:
        # Undecided becomes InternalError: the charger then falls back to its own list or cache.
        decision = await gateway.authorizer.decide(
            charger.operator_id, charger.station_id, None, token["idToken"]
        )
    costs = await gateway.tariffs.to_driver(charger.station, token["idToken"], decision)
    answer: dict[str, Any] = {"idTokenInfo": id_token_info(decision) | costs}
    if certificate is not None:
        cancelled = decision.status in contracts.NOT_WANTED
        answer["certificateStatus"] = "ContractCancelled" if cancelled else certificate
    return answer
