"""What an OCPP 1.6 server may tell a charger to do (OCPP 1.6, section 5; security extension)."""

from fleet import configuration as keys
from fleet.authority import IdToken, Verdict
from fleet.connectors import Plan, Reservation
from fleet.dialect import Payload, moment
from fleet.limits import read_moment
from fleet.maintenance import Firmware, Notices
from fleet.parts import Command, Parts

TRIGGERS = {"BootNotification", "Heartbeat", "StatusNotification"}
NOTICES = {
    "FirmwareStatusNotification",
    "DiagnosticsStatusNotification",
    "LogStatusNotification",
}


def remote_start(parts: Parts, payload: Payload) -> Payload:
    token = IdToken(payload["idTag"])
    plan = Plan(profile=payload.get("chargingProfile"))
    connector = parts.remote_start(token, None, payload.get("connectorId"), plan)
    return {"status": "Accepted" if connector else "Rejected"}


def remote_stop(parts: Parts, payload: Payload) -> Payload:
    return {"status": parts.remote_stop(payload["transactionId"])}


def reset(parts: Parts, payload: Payload) -> Payload:
    parts.tasks.start(parts.reset(payload["type"] == "Hard"), "reset")
    return {"status": "Accepted"}


def change_availability(parts: Parts, payload: Payload) -> Payload:
    operative = payload["type"] == "Operative"
    return {"status": parts.change_availability(payload["connectorId"], operative=operative)}


def get_configuration(parts: Parts, payload: Payload) -> Payload:
    return parts.configuration.read(payload.get("key", []))


def change_configuration(parts: Parts, payload: Payload) -> Payload:
    key, value = payload["key"], payload["value"]
    if key == keys.PASSWORD:
        return {"status": change_password(parts, value)}
    status = parts.configuration.change(key, value)
    if key == keys.HEARTBEAT:
        parts.upkeep.beat_differently()
    return {"status": status}


def change_password(parts: Parts, password: str) -> str:
    """Use it from the next connection on (security white paper, A01)."""
    if not 16 <= len(password) <= 40:
        return "Rejected"
    parts.address.password = password
    parts.say(0, "has a new password for its next connection")
    return "Accepted"


def trigger_message(parts: Parts, payload: Payload) -> Payload:
    message, connector_id = payload["requestedMessage"], payload.get("connectorId")
    if connector_id is not None and connector_id not in {0, *parts.connectors}:
        return {"status": "Rejected"}
    if message in TRIGGERS:
        parts.tasks.start(parts.upkeep.trigger(message, connector_id), f"trigger {message}")
    elif message == "MeterValues":
        for connector in parts.connectors.values():
            if connector_id in {None, connector.connector_id}:
                parts.sessions.report_meter(connector, "Trigger")
    elif message in NOTICES:
        parts.send_later(message, parts.maintenance.last_notice(message))
    elif message == "SignChargePointCertificate":
        parts.send_later("SignCertificate", {"csr": parts.certificates.signing_request()})
    else:
        return {"status": "NotImplemented"}
    return {"status": "Accepted"}


def unlock_connector(parts: Parts, payload: Payload) -> Payload:
    connector = parts.connectors.get(payload["connectorId"])
    if connector is None:
        return {"status": "NotSupported"}
    if connector.session:
        parts.sessions.stop(connector.session, "UnlockCommand")
    return {"status": "Unlocked"}


def clear_cache(parts: Parts, _payload: Payload) -> Payload:
    parts.authority.cached.clear()
    return {"status": "Accepted"}


def data_transfer(_parts: Parts, _payload: Payload) -> Payload:
    return {"status": "UnknownVendorId"}


def send_local_list(parts: Parts, payload: Payload) -> Payload:
    def entries() -> list[tuple[IdToken, Verdict | None]]:
        return [
            (IdToken(entry["idTag"]), parts.dialect.verdict(entry))
            for entry in payload.get("localAuthorizationList", [])
        ]

    full = payload["updateType"] == "Full"
    if not parts.configuration.switched_on(keys.LOCAL_LIST):
        return {"status": "NotSupported"}
    status = parts.authority.update_list(payload["listVersion"], full=full, entries=entries())
    return {"status": status}


def get_local_list_version(parts: Parts, _payload: Payload) -> Payload:
    enabled = parts.configuration.switched_on(keys.LOCAL_LIST)
    return {"listVersion": parts.authority.version if enabled else -1}


def reserve_now(parts: Parts, payload: Payload) -> Payload:
    reservation = Reservation(
        payload["reservationId"],
        IdToken(payload["idTag"]),
        payload.get("parentIdTag"),
        read_moment(payload["expiryDate"]),
    )
    return {"status": parts.reserve(reservation, payload["connectorId"])}


def cancel_reservation(parts: Parts, payload: Payload) -> Payload:
    known = parts.cancel_reservation(payload["reservationId"])
    return {"status": "Accepted" if known else "Rejected"}


def set_charging_profile(parts: Parts, payload: Payload) -> Payload:
    kept = parts.set_profile(payload["connectorId"], payload["csChargingProfiles"])
    return {"status": "Accepted" if kept else "Rejected"}


def clear_charging_profile(parts: Parts, payload: Payload) -> Payload:
    gone = parts.limits.find(
        payload.get("connectorId"),
        profile_id=payload.get("id"),
        purpose=payload.get("chargingProfilePurpose"),
        stack_level=payload.get("stackLevel"),
    )
    return {"status": parts.clear_profiles(gone)}


def get_composite_schedule(parts: Parts, payload: Payload) -> Payload:
    connector_id, duration_s = payload["connectorId"], payload["duration"]
    if connector_id not in {0, *parts.connectors}:
        return {"status": "Rejected"}
    unit, now = payload.get("chargingRateUnit", "W"), parts.clock()
    return {
        "status": "Accepted",
        "connectorId": connector_id,
        "scheduleStart": moment(now),
        "chargingSchedule": {
            "duration": duration_s,
            "startSchedule": moment(now),
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": parts.limits.composite(connector_id, now, duration_s, unit),
        },
    }


def get_diagnostics(parts: Parts, payload: Payload) -> Payload:
    notices = Notices("DiagnosticsStatusNotification", None, long=False)
    tries = 1 + max(0, payload.get("retries", 0))
    parts.maintenance.begin_upload(payload["location"], tries, notices)
    return {"fileName": parts.maintenance.log_name()}


def get_log(parts: Parts, payload: Payload) -> Payload:
    notices = Notices("LogStatusNotification", payload["requestId"])
    location, tries = payload["log"]["remoteLocation"], 1 + max(0, payload.get("retries", 0))
    status = parts.maintenance.begin_upload(location, tries, notices)
    return {"status": status, "filename": parts.maintenance.log_name()}


def update_firmware(parts: Parts, payload: Payload) -> Payload:
    tries = 1 + min(max(0, payload.get("retries", 0)), 5)
    firmware = Firmware(payload["location"], read_moment(payload["retrieveDate"]), tries=tries)
    parts.maintenance.begin_update(
        firmware, Notices("FirmwareStatusNotification", None, long=False)
    )
    return {}


def signed_update_firmware(parts: Parts, payload: Payload) -> Payload:
    notices = Notices("SignedFirmwareStatusNotification", payload["requestId"])
    return {"status": parts.maintenance.begin_update(Firmware.read(payload), notices)}


def install_certificate(parts: Parts, payload: Payload) -> Payload:
    kind, certificate = payload["certificateType"], payload["certificate"]
    return {"status": parts.certificates.install(kind, certificate)}


def delete_certificate(parts: Parts, payload: Payload) -> Payload:
    return {"status": parts.certificates.delete(payload["certificateHashData"])}


def get_installed_certificate_ids(parts: Parts, payload: Payload) -> Payload:
    found = [data for _, data in parts.certificates.find([payload["certificateType"]])]
    return {"status": "Accepted", "certificateHashData": found} if found else {"status": "NotFound"}


def certificate_signed(parts: Parts, payload: Payload) -> Payload:
    taken = parts.certificates.take(payload["certificateChain"])
    return {"status": "Accepted" if taken else "Rejected"}


COMMANDS: dict[str, Command] = {
    "RemoteStartTransaction": remote_start,
    "RemoteStopTransaction": remote_stop,
    "Reset": reset,
    "ChangeAvailability": change_availability,
    "GetConfiguration": get_configuration,
    "ChangeConfiguration": change_configuration,
    "TriggerMessage": trigger_message,
    "ExtendedTriggerMessage": trigger_message,
    "UnlockConnector": unlock_connector,
    "ClearCache": clear_cache,
    "DataTransfer": data_transfer,
    "SendLocalList": send_local_list,
    "GetLocalListVersion": get_local_list_version,
    "ReserveNow": reserve_now,
    "CancelReservation": cancel_reservation,
    "SetChargingProfile": set_charging_profile,
    "ClearChargingProfile": clear_charging_profile,
    "GetCompositeSchedule": get_composite_schedule,
    "GetDiagnostics": get_diagnostics,
    "GetLog": get_log,
    "UpdateFirmware": update_firmware,
    "SignedUpdateFirmware": signed_update_firmware,
    "InstallCertificate": install_certificate,
    "DeleteCertificate": delete_certificate,
    "GetInstalledCertificateIds": get_installed_certificate_ids,
    "CertificateSigned": certificate_signed,
}
