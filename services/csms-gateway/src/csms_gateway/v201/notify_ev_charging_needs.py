"""NotifyEVChargingNeeds (OCPP 2.0.1, K15 and K17; 2.1, K18 to K20): what an EV wants, by ISO 15118.

If the operator keeps a charging profile for EVs, the answer is Accepted and a schedule follows as a
command. It takes no time to compute, so nothing is ever answered Processing.
"""

from typing import Any, Final

from common.clock import now
from csms_gateway import charging_profile_sending, notifications, statuses, variables
from csms_gateway.charger import Charger
from csms_gateway.charging_needs import NoOffer, is_of_20, needs_of, offers
from csms_gateway.charging_profile_forms import profile_2
from csms_gateway.commands import ours
from csms_gateway.commands.charging_profile import ChargingProfile

DEADLINE_S: Final = 55.0  # the EV gives up after 60 (K15.FR.08)
DYNAMIC: Final = "DynamicControl"
BOTH_WAYS: Final = "BPT"  # in the names of the transfers that 2.1 has and 2.0.1 has not
FOR_EVS: Final = "select profile from charging_profile where operator_id = $1 and for_evs"
STARTED: Final = "select started_at from transaction where station_id = $1 and session_id = $2"


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    evse_id = statuses.number(payload["evseId"], "evseId")
    await notifications.keep(charger, "NotifyEVChargingNeeds", payload)
    transaction = await charging_profile_sending.open_on(charger, evse_id)
    if transaction is None:
        return _no("Rejected", "NoTransaction")  # there is nothing a TxProfile could be for
    session_id = transaction["session_id"]
    if BOTH_WAYS in payload["chargingNeeds"]["requestedEnergyTransfer"] and (
        await charging_profile_sending.v2x_on(charger, evse_id, session_id)
    ):
        # 2.1, Q01: the session goes by that profile, and none that only charges takes its place.
        return _no("NoChargingProfile", "NoProfile", "a V2X profile is on the station")
    basis = await charger.gateway.pool.fetchval(FOR_EVS, charger.operator_id)
    # A session by ISO 15118-20 goes on without a profile of ours; Rejected would be that nothing
    # is to be charged at all (2.1, K18.FR.04 and FR.22, K19.FR.04 and FR.15). By ISO 15118-2 it
    # goes on either way.
    of_20 = charger.version.schemas == "v21" and is_of_20(payload["chargingNeeds"])
    none = "NoChargingProfile" if of_20 else "Rejected"
    if basis is None:
        return _no(none, "NoProfile")
    try:
        profile = await _profile(charger, payload, transaction, basis)
    except NoOffer as why:
        return _no(none, "InvalidValue", str(why))
    await ours.queue(
        charger,
        "set_charging_profile",
        {
            "evse_id": evse_id,
            "session_id": str(session_id),
            "profile": profile.model_dump(mode="json", exclude_none=True),
        },
        DEADLINE_S,
    )
    return {"status": "Accepted"}


def _no(status: str, code: str, why: str | None = None) -> dict[str, Any]:
    info = {"reasonCode": code} | ({"additionalInfo": why} if why else {})
    return {"status": status, "statusInfo": info}


async def _profile(
    charger: Charger, payload: dict[str, Any], transaction: Any, basis: str
) -> ChargingProfile:
    """Raises NoOffer."""
    at = now().replace(microsecond=0)
    needs = needs_of(payload["chargingNeeds"])
    evse_id = payload["evseId"]
    session_at = await charger.gateway.pool.fetchval(
        STARTED, charger.station_id, transaction["session_id"]
    )
    wanted = ChargingProfile.model_validate_json(basis)
    # K15.FR.07: what the EV and what the station can take.
    own_max = await variables.number(charger, "SmartChargingCtrlr", "PeriodsPerSchedule", "")
    periods_max = [one for one in (payload.get("maxScheduleTuples"), own_max) if one]
    basis_2 = profile_2(wanted, 0, at)
    if payload["chargingNeeds"].get("controlMode") == DYNAMIC:
        # Nobody chooses: the station makes the EV follow the one (2.1, K17.FR.19, K19.FR.07).
        basis_2["chargingSchedule"] = basis_2["chargingSchedule"][:1]
    schedules = offers(
        needs,
        basis_2,
        await charging_profile_sending.limits_on(charger, evse_id),
        charger.station.power_by_evse.get(evse_id),
        at,
        session_at,
        min(periods_max, default=None),
    )
    return ChargingProfile(
        stack_level=wanted.stack_level, purpose="tx", kind="absolute", schedules=schedules
    )
