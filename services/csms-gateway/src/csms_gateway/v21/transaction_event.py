"""TransactionEvent (OCPP 2.1): as in 2.0.1, and what a resumed or limited session needs.

A station that resumes a session after a reboot need not have kept its charging profiles, so it gets
them again (B13.FR.31, E17.FR.15). One whose session was asked for with limits is told them
(E16.FR.02, F07.FR.02).
"""

from typing import Any

from csms_gateway import charging_profile_sending, transaction_limits
from csms_gateway.charger import Charger
from csms_gateway.commands import ours
from csms_gateway.v201 import transaction_event

RESUMED = "TxResumed"


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    reply = await transaction_event.answer(charger, payload)
    known = charger.transactions[payload["transactionInfo"]["transactionId"]]
    if known.ended_at:
        return reply
    if payload["triggerReason"] == RESUMED:
        deadline_s = charger.gateway.settings.command_deadline_s
        for again in await charging_profile_sending.lost_by_reboot(charger, known.session_id):
            call = {"action": "SetChargingProfile", "payload": again}
            await ours.queue(charger, "ocpp", call, deadline_s)
    if limits := await transaction_limits.to_tell(charger, payload, known.details):
        reply["transactionLimit"] = limits
    return reply
