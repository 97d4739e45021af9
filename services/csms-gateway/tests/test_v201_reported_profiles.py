"""OCPP 2.0.1: profiles that a station reports (K09), its composite schedule (K08), and stacks;
reservations of any EVSE (H01).
"""

from datetime import timedelta
from typing import Any

import pytest
from asked_station import Station, station
from gateway_wire import EVSE, Gateway

from common.clock import now

V201 = "ocpp2.0.1"
ACCEPTED = {"status": "Accepted"}


def reported(number: int, purpose: str, stack_level: int) -> dict[str, Any]:
    period = {"startPeriod": 0, "limit": 10.0}
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
    return {
        "id": number, "stackLevel": stack_level, "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute", "chargingSchedule": [schedule],
    }  # fmt: skip


async def installed(charger: Station) -> list[tuple[int, int, str, int, str]]:
    found = await charger.get(f"/v1/stations/{charger.id}/charging-profiles")
    return [
        (one["profile_id"], one["evse_id"], one["purpose"], one["stack_level"], one["source"])
        for one in found["items"]
    ]


DEFAULT, EXTERNAL = "TxDefaultProfile", "ChargingStationExternalConstraints"


@pytest.mark.parametrize(
    ("evse_id", "criteria"),
    [
        (1, {"chargingProfilePurpose": DEFAULT, "stackLevel": 0}),
        (None, {"chargingLimitSource": ["CSO"]}),
        (None, {"chargingProfileId": [40]}),
        (1, {"stackLevel": 0}),
        (1, {"chargingLimitSource": ["CSO"]}),
        (1, {"chargingProfilePurpose": DEFAULT}),
        (0, {"chargingProfilePurpose": EXTERNAL}),
    ],
)
async def test_TC_K_30_to_36_and_K_52_profiles_are_asked_for_and_known_by_the_report(
    gateway: Gateway, evse_id: int | None, criteria: dict[str, Any]
) -> None:
    purpose, word = DEFAULT, "tx_default"
    source, evse_ids = "CSO", [1, 2] if evse_id is None else [evse_id]
    if criteria.get("chargingProfilePurpose") == EXTERNAL:
        purpose, word, source = EXTERNAL, "station_external", "EMS"
    async with station(gateway, V201) as charger:
        where = {} if evse_id is None else {"evse_id": evse_id}
        command = {"type": "get_charging_profiles", "charging_profile": criteria} | where
        ((action, payload),), done = await charger.ask(command, ACCEPTED)
        number = payload.pop("requestId")
        wire = {} if evse_id is None else {"evseId": evse_id}
        assert (action, payload) == ("GetChargingProfiles", {"chargingProfile": criteria} | wire)
        assert done["state"] == "accepted"
        for place, one in enumerate(evse_ids):
            report = {
                "requestId": number, "chargingLimitSource": source, "evseId": one,
                "chargingProfile": [reported(40 + place, purpose, 0)],
                "tbc": one != evse_ids[-1],
            }  # fmt: skip
            assert await charger.send("ReportChargingProfiles", report) == {}
        assert await installed(charger) == [
            (40 + place, one, word, 0, source) for place, one in enumerate(evse_ids)
        ]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_K11_a_limit_that_others_set_during_a_session_is_kept_beside_ours(
    gateway: Gateway, version: str
) -> None:
    async with station(gateway, version) as charger:
        session = {"transaction": charger.id, "evse": EVSE, "info": {"chargingState": "Charging"}}
        await charger.event("Started", 0, "Authorized", token="GOOD", **session)
        profile = {"schedules": [{"unit": "A", "periods": [{"start_s": 0, "limit": 16}]}]}
        command = {"type": "set_charging_profile", "evse_id": 1, "profile": profile}
        (call,), _ = await charger.ask(command, ACCEPTED)
        ours = call[1]["chargingProfile"]["id"]
        external = reported(-1, EXTERNAL, 0)
        limit = {
            "evseId": 1, "chargingLimit": {"chargingLimitSource": "EMS"},
            "chargingSchedule": external["chargingSchedule"],
        }  # fmt: skip
        assert await charger.send("NotifyChargingLimit", limit) == {}
        assert await charger.notified("NotifyChargingLimit") == [limit]
        assert await charger.event("Updated", 1, "ChargingRateChanged", **session) == {}
        (known,) = await gateway.transactions(station_id=charger.id)
        assert (known["charging_state"], known["incidents"]) == ("Charging", [])
        report = {
            "requestId": 1, "chargingLimitSource": "EMS", "evseId": 1,
            "chargingProfile": [external],
        }  # fmt: skip
        assert await charger.send("ReportChargingProfiles", report) == {}
        assert sorted(await installed(charger)) == [
            (-1, 1, "station_external", 0, "EMS"), (ours, 1, "tx_default", 0, "CSO"),
        ]  # fmt: skip


async def test_K27_FR_02_and_FR_03_what_is_generated_locally_is_known_and_not_ours_to_clear(
    gateway: Gateway,
) -> None:
    async with station(gateway, "ocpp2.1") as charger:
        own = reported(-2, "LocalGeneration", 0)
        limit = {
            "evseId": 1, "chargingSchedule": own["chargingSchedule"],
            "chargingLimit": {"chargingLimitSource": "EMS", "isLocalGeneration": True},
        }  # fmt: skip
        assert await charger.send("NotifyChargingLimit", limit) == {}
        assert await charger.notified("NotifyChargingLimit") == [limit]
        report = {
            "requestId": 1, "chargingLimitSource": "EMS", "evseId": 1, "chargingProfile": [own],
        }  # fmt: skip
        assert await charger.send("ReportChargingProfiles", report) == {}
        known = [(-2, 1, "LocalGeneration", 0, "EMS")]
        assert await installed(charger) == known
        await charger.ask({"type": "clear_charging_profile", "evse_id": 1}, ACCEPTED)
        assert await installed(charger) == known  # K10.FR.04


async def test_TC_K_44_the_schedule_of_the_whole_station_is_in_the_answer(
    gateway: Gateway,
) -> None:
    async with station(gateway, V201) as charger:
        command = {"type": "get_composite_schedule", "duration_s": 300, "unit": "A"}
        schedule = {
            "evseId": 0, "duration": 300, "scheduleStart": "2030-01-01T00:00:00Z",
            "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}],
        }  # fmt: skip
        answer = ACCEPTED | {"schedule": schedule}
        (call,), done = await charger.ask(command, answer)
        wire = {"evseId": 0, "duration": 300, "chargingRateUnit": "A"}
        assert call == ("GetCompositeSchedule", wire)
        assert (done["state"], done["result"]) == ("accepted", answer)


async def test_TC_K_70_profiles_of_two_stack_levels_stand_beside_each_other(
    gateway: Gateway,
) -> None:
    async with station(gateway, V201) as charger:
        sent = []
        for level in (0, 1):
            schedule = {"unit": "A", "periods": [{"start_s": 0, "limit": 6 + level}]}
            profile = {"stack_level": level, "schedules": [schedule]}
            command = {"type": "set_charging_profile", "evse_id": 1, "profile": profile}
            (call,), _ = await charger.ask(command, ACCEPTED)
            sent.append(call[1]["chargingProfile"])
        assert [one["stackLevel"] for one in sent] == [0, 1]
        assert sent[0]["id"] != sent[1]["id"]
        assert [one[:4] for one in await installed(charger)] == [
            (one["id"], 1, "tx_default", one["stackLevel"]) for one in sent
        ]


async def test_TC_H_08_and_H_14_any_evse_is_reserved_as_often_as_there_are_evses(
    gateway: Gateway,
) -> None:
    async with station(gateway, V201) as charger:
        until = (now() + timedelta(hours=1)).isoformat()
        command = {"type": "reserve_now", "id_token": "GOOD", "expires_at": until}
        numbers = []
        for _ in range(2):  # EVSEs
            ((action, payload),), done = await charger.ask(command, ACCEPTED)
            assert (action, done["state"]) == ("ReserveNow", "accepted")
            assert payload.keys() == {"id", "expiryDateTime", "idToken"}
            assert payload["idToken"] == {"idToken": "GOOD", "type": "ISO14443"}
            numbers.append(payload["id"])
        rows = (await charger.get("/v1/reservations", station_id=charger.id))["items"]
        assert {one["reservation_id"] for one in rows} == set(numbers)
        assert [(one["state"], one["evse_id"]) for one in rows] == [("active", None)] * 2
        await charger.event(
            "Started", 0, "Authorized", token="GOOD", transaction=charger.id,
            evse={"id": 2, "connectorId": 1}, reservationId=numbers[1],
        )  # fmt: skip
        rows = (await charger.get("/v1/reservations", station_id=charger.id))["items"]
        states = {one["reservation_id"]: one["state"] for one in rows}
        assert states == {numbers[0]: "active", numbers[1]: "used"}
