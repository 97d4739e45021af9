"""TransactionEvent (OCPP 2.0.1, E01 to E15)."""

from datetime import datetime
from typing import Any

from csms_gateway import charging_states, reservations, statuses, transaction_events
from csms_gateway.charger import Charger
from csms_gateway.commands import ours
from csms_gateway.transaction_fold import Known, begins, waits
from csms_gateway.v201 import meter_values
from csms_gateway.v201.id_token_info import id_token_info


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    """Always answered when stored: a charger without an answer would repeat it for ever."""
    evse = payload.get("evse") or {}
    evse_id = statuses.number(evse.get("id", 0), "evse/id")
    statuses.number(evse.get("connectorId", 0), "evse/connectorId")
    statuses.number(payload["seqNo"], "seqNo", end=2**31)
    found = payload.get("meterValue", [])
    ended = payload["eventType"] == "Ended"

    where = evse_id

    async def readings(session: Known, at: datetime) -> None:
        nonlocal where
        # Many stations name the EVSE in their first event alone.
        where = session.evse_id or evse_id
        if found:
            await meter_values.store(charger, where, session.session_id, found, payload)
        await charging_states.of_event(charger, session, payload, at)

    known, token = await transaction_events.store(charger, payload, readings)
    told = "reservationId" in payload or ("idToken" in payload and known.reserved)
    if begins(payload) and told:
        await reservations.used(
            charger,
            reservations.Use(
                known.session_id, payload.get("reservationId"), where,
                payload.get("idToken", {}).get("idToken"), payload["timestamp"],
            ),
        )  # fmt: skip
    reply: dict[str, Any] = {}
    if token:
        reply["idTokenInfo"] = id_token_info(token)
    costs = charger.gateway.costs
    if ended:
        # A station that was offline then has nobody left to show it to (2.0.1, I03.FR.03).
        wait = known.end_told and not payload.get("offline")
        cost = await costs.final(known.session_id, wait=wait)
        if wait and costs.is_checked(known.session_id):
            schemas = charger.version.schemas
            reply |= await charger.gateway.tariffs.checked(charger.station, schemas)
        if waits(known):
            # E14: numbers are missing before the end; the answer says whether they still come.
            await ours.queue(
                charger, "get_transaction_status",
                {"transaction_id": payload["transactionInfo"]["transactionId"]},
                charger.gateway.settings.command_deadline_s,
            )  # fmt: skip
    else:
        cost = costs.running(known.session_id)
        reply |= await charger.gateway.tariffs.in_session(
            charger.station, charger.version.schemas, known, payload
        )
    if cost is not None:
        # A number on the wire and nowhere else (2.0.1, TransactionEventResponse.totalCost).
        reply["totalCost"] = float(cost)
    return reply
