"""NotifyEVChargingSchedule (OCPP 2.0.1, K15 to K17): how the EV means to charge."""

from typing import Any

from common.clock import now
from csms_gateway import charging_profile_sending, clocks, notifications, statuses
from csms_gateway.charger import Charger
from csms_gateway.charging_needs import keeps_to
from csms_gateway.commands import ours
from csms_gateway.v201.notify_ev_charging_needs import DEADLINE_S, STARTED


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    """Accepted within the profile that the session has; else that one is sent again, which makes
    the station renegotiate with the EV (K15.FR.13, K16).
    """
    evse_id = statuses.number(payload["evseId"], "evseId")
    await notifications.keep(charger, "NotifyEVChargingSchedule", payload)
    transaction = await charging_profile_sending.open_on(charger, evse_id)
    if transaction is None:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "NoTransaction"}}
    offered = await _offered(charger, transaction)
    if offered is None:
        return {"status": "Accepted"}  # nothing of ours limits it
    session_at = await charger.gateway.pool.fetchval(
        STARTED, charger.station_id, transaction["session_id"]
    )
    within = keeps_to(
        payload["chargingSchedule"],
        clocks.read(payload["timeBase"]) or now(),
        offered["chargingProfile"],
        session_at,
        payload.get("selectedChargingScheduleId"),
    )
    if within:
        return {"status": "Accepted"}
    call = {"action": "SetChargingProfile", "payload": offered}
    await ours.queue(charger, "ocpp", call, DEADLINE_S)
    return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidSchedule"}}


async def _offered(charger: Charger, transaction: Any) -> dict[str, Any] | None:
    """The payload that gave the session its profile.

    A station that has taken one tells the plan at once, when it may not be stored yet.
    """
    call = charger.under_way
    if call and call.action == "SetChargingProfile":
        newest: dict[str, Any] = call.payload
        if newest["chargingProfile"].get("transactionId") == transaction["ocpp_id"]:
            return newest
    return await charging_profile_sending.of_session(charger, transaction["session_id"])
