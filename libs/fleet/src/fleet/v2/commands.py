"""What an OCPP 2.x server may tell a charger to do: charging, access, availability, upkeep."""

from fleet import configuration as keys
from fleet.connectors import Connector, Plan, Reservation
from fleet.dialect import Payload, TransactionId, moment
from fleet.limits import Profile, read_moment
from fleet.maintenance import Firmware, Notices
from fleet.parts import Command, Parts
from fleet.v2 import keepsakes, reports
from fleet.v2.messages import read_token, read_verdict
from fleet.v2.variables import plug

SIGNED_BY_SERVER = {"ChargingStationCertificate", None}
TRIGGERS = {"BootNotification", "Heartbeat", "StatusNotification"}
NOTICES = {"FirmwareStatusNotification", "LogStatusNotification"}


def status(said: str) -> Payload:
    return {"status": said}


def yes(said: bool) -> Payload:
    return status("Accepted" if said else "Rejected")


def group_of(payload: Payload) -> str | None:
    found: str | None = payload.get("groupIdToken", {}).get("idToken")
    return found


def request_start(parts: Parts, payload: Payload) -> Payload:
    """F01, F02. A profile with it has to be for this transaction (F01.FR.08)."""
    profile = payload.get("chargingProfile")
    if profile and (profile["chargingProfilePurpose"] != "TxProfile" or "transactionId" in profile):
        return status("Rejected")
    plan = Plan(remote_start_id=payload["remoteStartId"], profile=profile)
    token = read_token(payload["idToken"])
    return yes(
        parts.remote_start(token, group_of(payload), payload.get("evseId"), plan) is not None
    )


def request_stop(parts: Parts, payload: Payload) -> Payload:
    return status(parts.remote_stop(payload["transactionId"]))


def get_transaction_status(parts: Parts, payload: Payload) -> Payload:
    """E14."""
    transaction_id: TransactionId | None = payload.get("transactionId")
    waiting = parts.sessions.queue.payloads()
    if transaction_id is None:
        return {"messagesInQueue": bool(waiting)}
    found = (one.get("transactionInfo", {}).get("transactionId") for one in waiting)
    ongoing = parts.sessions.find(transaction_id) is not None
    return {"messagesInQueue": transaction_id in found, "ongoingIndicator": ongoing}


def reset(parts: Parts, payload: Payload) -> Payload:
    """B11, B12. An EVSE alone is reset by ending what it does. No transaction outlives a reset here
    (2.1, B13.FR.01).
    """
    if payload["type"] == "ImmediateAndResume":
        return status("Rejected")
    evse_id, at_once = payload.get("evseId"), payload["type"] == "Immediate"
    if evse_id is not None:
        connector = parts.connectors.get(evse_id)
        if connector is None:
            return status("Rejected")
        if connector.session and at_once:
            parts.sessions.stop(connector.session, "HardReset")
        return status("Scheduled" if connector.session else "Accepted")
    busy = [c.session for c in parts.connectors.values() if c.session]

    async def when_idle() -> None:
        for session in busy:
            await session.ended.wait()
        await parts.reset(False)

    parts.tasks.start(parts.reset(True) if at_once else when_idle(), "reset")
    return status("Scheduled" if busy and not at_once else "Accepted")


def change_availability(parts: Parts, payload: Payload) -> Payload:
    evse_id = payload.get("evse", {}).get("id", 0)
    operative = payload["operationalStatus"] == "Operative"
    return status(parts.change_availability(evse_id, operative=operative))


def unlock_connector(parts: Parts, payload: Payload) -> Payload:
    connector = parts.connectors.get(payload["evseId"])
    if connector is None or payload["connectorId"] != 1:
        return status("UnknownConnector")
    return status("OngoingAuthorizedTransaction" if connector.session else "Unlocked")


def trigger_message(parts: Parts, payload: Payload) -> Payload:
    """F06."""
    message = payload["requestedMessage"]
    evse_id = payload.get("evse", {}).get("id")
    if evse_id is not None and evse_id not in {0, *parts.connectors}:
        return status("Rejected")
    chosen = [c for c in parts.connectors.values() if evse_id in {None, 0, c.connector_id}]
    if message == "BootNotification" and parts.upkeep.booted:
        return status("Rejected")  # F06.FR.17
    if message in TRIGGERS:
        number = evse_id or None
        parts.tasks.start(parts.upkeep.trigger(message, number), f"trigger {message}")
    elif message in {"MeterValues", "TransactionEvent"}:
        return status(_meters_now(parts, chosen, charging=message == "TransactionEvent"))
    elif message in NOTICES:
        parts.send_later(message, parts.maintenance.last_notice(message))
    elif message == "SignChargingStationCertificate":
        request = {
            "csr": parts.certificates.signing_request(),
            "certificateType": "ChargingStationCertificate",
        }
        parts.send_later("SignCertificate", request)
    else:
        return status("NotImplemented")
    return status("Accepted")


def _meters_now(parts: Parts, chosen: list[Connector], *, charging: bool) -> str:
    if charging:
        chosen = [connector for connector in chosen if connector.session]
    for connector in chosen:
        parts.sessions.report_meter(connector, "Trigger")
    return "Accepted" if chosen else "Rejected"


def clear_cache(parts: Parts, _payload: Payload) -> Payload:
    enabled = parts.configuration.switched_on(keys.CACHE)
    if enabled:
        parts.authority.cached.clear()
    return yes(enabled)


def send_local_list(parts: Parts, payload: Payload) -> Payload:
    if not parts.configuration.switched_on(keys.LOCAL_LIST):
        return status("Failed")
    entries = [
        (
            read_token(entry["idToken"]),
            read_verdict(entry["idTokenInfo"]) if "idTokenInfo" in entry else None,
        )
        for entry in payload.get("localAuthorizationList", [])
    ]
    full = payload["updateType"] == "Full"
    return status(parts.authority.update_list(payload["versionNumber"], full=full, entries=entries))


def get_local_list_version(parts: Parts, _payload: Payload) -> Payload:
    enabled = parts.configuration.switched_on(keys.LOCAL_LIST)
    return {"versionNumber": parts.authority.version if enabled else 0}


def reserve_now(parts: Parts, payload: Payload) -> Payload:
    expires_at = read_moment(payload["expiryDateTime"])
    token = read_token(payload["idToken"])
    reservation = Reservation(payload["id"], token, group_of(payload), expires_at)
    if payload.get("connectorType", plug(parts)) != plug(parts):
        return status("Rejected")  # H01.FR.06: there is none of that type
    return status(parts.reserve(reservation, payload.get("evseId")))


def cancel_reservation(parts: Parts, payload: Payload) -> Payload:
    return yes(parts.cancel_reservation(payload["reservationId"]))


def set_charging_profile(parts: Parts, payload: Payload) -> Payload:
    return yes(parts.set_profile(payload["evseId"], payload["chargingProfile"]))


def clear_charging_profile(parts: Parts, payload: Payload) -> Payload:
    profile_id = payload.get("chargingProfileId")
    criteria = payload.get("chargingProfileCriteria", {})
    if profile_id is not None:
        return status(parts.clear_profiles(parts.limits.find(profile_id=profile_id)))
    return status(parts.clear_profiles(_profiles(parts, criteria.get("evseId"), criteria)))


def get_charging_profiles(parts: Parts, payload: Payload) -> Payload:
    """K09: a report for each EVSE that has any."""
    criteria = payload["chargingProfile"]
    ids, sources = criteria.get("chargingProfileId"), criteria.get("chargingLimitSource", ["CSO"])
    found = [
        profile
        for profile in _profiles(parts, payload.get("evseId"), criteria)
        if (ids is None or profile.profile_id in ids) and "CSO" in sources
    ]
    evse_ids = sorted({profile.connector_id for profile in found})
    messages = [
        {
            "requestId": payload["requestId"],
            "chargingLimitSource": "CSO",
            "evseId": evse_id,
            "chargingProfile": [p.raw for p in found if p.connector_id == evse_id],
            "tbc": evse_id != evse_ids[-1],
        }
        for evse_id in evse_ids
    ]
    reports.send(parts, "ReportChargingProfiles", messages)
    return status("Accepted" if found else "NoProfiles")


def _profiles(parts: Parts, evse_id: int | None, criteria: Payload) -> list[Profile]:
    return parts.limits.find(
        evse_id,
        purpose=criteria.get("chargingProfilePurpose"),
        stack_level=criteria.get("stackLevel"),
    )


def get_composite_schedule(parts: Parts, payload: Payload) -> Payload:
    evse_id, duration_s = payload["evseId"], payload["duration"]
    if evse_id not in {0, *parts.connectors}:
        return status("Rejected")
    unit, now = payload.get("chargingRateUnit", "W"), parts.clock()
    schedule = {
        "evseId": evse_id,
        "duration": duration_s,
        "scheduleStart": moment(now),
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": parts.limits.composite(evse_id, now, duration_s, unit),
    }
    return {"status": "Accepted", "schedule": schedule}


def data_transfer(_parts: Parts, _payload: Payload) -> Payload:
    return status("UnknownVendorId")


def get_log(parts: Parts, payload: Payload) -> Payload:
    notices = Notices("LogStatusNotification", payload["requestId"])
    location, tries = payload["log"]["remoteLocation"], 1 + max(0, payload.get("retries", 0))
    said = parts.maintenance.begin_upload(location, tries, notices)
    return {"status": said, "filename": parts.maintenance.log_name()}


def update_firmware(parts: Parts, payload: Payload) -> Payload:
    notices = Notices("FirmwareStatusNotification", payload["requestId"])
    return status(parts.maintenance.begin_update(Firmware.read(payload), notices))


def install_certificate(parts: Parts, payload: Payload) -> Payload:
    kind, certificate = payload["certificateType"], payload["certificate"]
    return status(parts.certificates.install(kind, certificate))


def delete_certificate(parts: Parts, payload: Payload) -> Payload:
    return status(parts.certificates.delete(payload["certificateHashData"]))


def get_installed_certificate_ids(parts: Parts, payload: Payload) -> Payload:
    found = parts.certificates.find(payload.get("certificateType", []))
    if not found:
        return status("NotFound")
    chains = [{"certificateType": kind, "certificateHashData": data} for kind, data in found]
    return {"status": "Accepted", "certificateHashDataChain": chains}


def certificate_signed(parts: Parts, payload: Payload) -> Payload:
    ours = payload.get("certificateType") in SIGNED_BY_SERVER
    return yes(ours and parts.certificates.take(payload["certificateChain"]))


def cost_updated(parts: Parts, payload: Payload) -> Payload:
    session = parts.sessions.find(payload["transactionId"])
    if session:
        parts.sessions.show_cost(session, payload["totalCost"])
    return {}


COMMANDS: dict[str, Command] = {
    "RequestStartTransaction": request_start,
    "RequestStopTransaction": request_stop,
    "GetTransactionStatus": get_transaction_status,
    "Reset": reset,
    "ChangeAvailability": change_availability,
    "UnlockConnector": unlock_connector,
    "TriggerMessage": trigger_message,
    "ClearCache": clear_cache,
    "SendLocalList": send_local_list,
    "GetLocalListVersion": get_local_list_version,
    "ReserveNow": reserve_now,
    "CancelReservation": cancel_reservation,
    "SetChargingProfile": set_charging_profile,
    "ClearChargingProfile": clear_charging_profile,
    "GetChargingProfiles": get_charging_profiles,
    "GetCompositeSchedule": get_composite_schedule,
    "DataTransfer": data_transfer,
    "GetLog": get_log,
    "UpdateFirmware": update_firmware,
    "InstallCertificate": install_certificate,
    "DeleteCertificate": delete_certificate,
    "GetInstalledCertificateIds": get_installed_certificate_ids,
    "CertificateSigned": certificate_signed,
    "CostUpdated": cost_updated,
    **reports.COMMANDS,
    **keepsakes.COMMANDS,
}
"""Those of OCPP 2.0.1."""

COMMANDS_OF_21: dict[str, Command] = COMMANDS | keepsakes.TARIFF_COMMANDS
