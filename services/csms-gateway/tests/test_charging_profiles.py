"""Charging profiles: named, sent in the words of each version, and known where they are."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from asked_station import SCOPES, Station, station
from gateway_wire import OPERATOR, Gateway
from hypothesis import given
from hypothesis import strategies as st

from common.clock import now
from csms_gateway import schemas
from csms_gateway.charging_profile_forms import profile_2, profile_16, tenth
from csms_gateway.commands.charging_profile import ChargingProfile

ACCEPTED = {"status": "Accepted"}
START, END = "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"
WIRE_START, WIRE_END = "2030-01-01T00:00:00.000Z", "2030-01-02T00:00:00.000Z"
TWO = pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
BOTH = pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])


def schedule(limit: float = 6.0, **changes: Any) -> dict[str, Any]:
    return {"unit": "A", "periods": [{"start_s": 0, "limit": limit}]} | changes


def profile(limit: float = 6.0, **changes: Any) -> dict[str, Any]:
    return {"schedules": [schedule(limit)]} | changes


def absolute(limit: float = 6.0, **changes: Any) -> dict[str, Any]:
    """As the test kits want one: everything said."""
    period = {"start_s": 0, "limit": limit, "phases": 3}
    told = {"unit": "A", "start_at": START, "duration_s": 86_400, "periods": [period]}
    return {"valid_from": START, "valid_to": END, "schedules": [told]} | changes


def set_(evse_id: int = 0, **parameters: Any) -> dict[str, Any]:
    return {"type": "set_charging_profile", "evse_id": evse_id} | parameters


async def there(charger: Station) -> list[tuple[int, int, str, int]]:
    found = await charger.get(f"/v1/stations/{charger.id}/charging-profiles")
    return [
        (one["profile_id"], one["evse_id"], one["purpose"], one["stack_level"])
        for one in found["items"]
    ]


def sent(call: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = call[1].get("csChargingProfiles") or call[1]["chargingProfile"]
    return found


def number(call: tuple[str, dict[str, Any]]) -> int:
    found: int = sent(call).get("chargingProfileId") or sent(call)["id"]
    return found


async def began(charger: Station, protocol: str, evse_id: int = 1) -> tuple[Any, str]:
    """A running session: the station's id of its transaction, and ours."""
    transaction: Any
    if protocol == "ocpp1.6":
        transaction = (await charger.start("GOOD", connectorId=evse_id))["transactionId"]
    else:
        transaction = uuid4().hex
        evse = {"id": evse_id, "connectorId": 1}
        await charger.event(
            "Started", 0, "Authorized", token="GOOD", transaction=transaction, evse=evse
        )
    rows = await charger.gateway.transactions(station_id=charger.id)
    (session,) = [row["session_id"] for row in rows if row["evse_id"] == evse_id]
    return transaction, session


async def test_TC_056_a_default_profile_in_the_words_of_1_6(gateway: Gateway) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        wanted = absolute(16.19, id=77, stack_level=2)
        (call,), done = await charger.ask(set_(1, profile=wanted), ACCEPTED)
        assert call == (
            "SetChargingProfile",
            {
                "connectorId": 1,
                "csChargingProfiles": {
                    "chargingProfileId": 77,
                    "stackLevel": 2,
                    "chargingProfilePurpose": "TxDefaultProfile",
                    "chargingProfileKind": "Absolute",
                    "validFrom": WIRE_START,
                    "validTo": WIRE_END,
                    "chargingSchedule": {
                        "chargingRateUnit": "A",
                        "startSchedule": WIRE_START,
                        "duration": 86_400,
                        "chargingSchedulePeriod": [
                            {"startPeriod": 0, "limit": 16.1, "numberPhases": 3}
                        ],
                    },
                },
            },
        )
        assert done["state"] == "accepted"
        assert await there(charger) == [(77, 1, "tx_default", 2)]


@TWO
async def test_TC_K_01_a_default_profile_in_the_words_of_2_x(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        (call,), _ = await charger.ask(set_(1, profile=absolute(6, id=78)), ACCEPTED)
        assert call == (
            "SetChargingProfile",
            {
                "evseId": 1,
                "chargingProfile": {
                    "id": 78,
                    "stackLevel": 0,
                    "chargingProfilePurpose": "TxDefaultProfile",
                    "chargingProfileKind": "Absolute",
                    "validFrom": WIRE_START,
                    "validTo": WIRE_END,
                    "chargingSchedule": [
                        {
                            "id": 1,
                            "chargingRateUnit": "A",
                            "startSchedule": WIRE_START,
                            "duration": 86_400,
                            "chargingSchedulePeriod": [
                                {"startPeriod": 0, "limit": 6.0, "numberPhases": 3}
                            ],
                        }
                    ],
                },
            },
        )
        assert await there(charger) == [(78, 1, "tx_default", 0)]


@BOTH
async def test_TC_057_and_K_60_K02_FR_03_and_FR_05_a_running_session_is_limited(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        transaction, session_id = await began(charger, protocol)
        relative = profile(7, kind="relative")
        command = set_(0, profile=relative, session_id=session_id)
        (call,), _ = await charger.ask(command, ACCEPTED)
        assert call[1].get("evseId", call[1].get("connectorId")) == 1
        assert sent(call)["transactionId"] == transaction
        assert sent(call)["chargingProfilePurpose"] == "TxProfile"
        schedules = sent(call)["chargingSchedule"]
        only = schedules if isinstance(schedules, dict) else schedules[0]
        assert "startSchedule" not in only
        # K01.FR.39: the same again replaces it, by its number.
        (again,), _ = await charger.ask(set_(1, profile=relative | {"purpose": "tx"}), ACCEPTED)
        assert (number(again), sent(again)["transactionId"]) == (number(call), transaction)
        assert await there(charger) == [(number(call), 1, "tx", 0)]
        assert "runs at EVSE 1" in await charger.refused(command | {"evse_id": 2})
        if protocol == "ocpp1.6":
            await charger.stop(transaction)
        else:
            await charger.event("Ended", 1, "StopAuthorized", transaction=transaction)
        assert await there(charger) == []
        assert "is running" in await charger.refused(command)


@BOTH
async def test_TC_K_02_without_a_session_only_a_raw_tx_profile_is_sent(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        relative = profile(7, kind="relative", purpose="tx")
        assert "no session is running" in await charger.refused(set_(1, profile=relative))
        assert "one EVSE" in await charger.refused(set_(0, profile=relative))
        made = ChargingProfile.model_validate(relative)
        if protocol == "ocpp1.6":
            payload = {"connectorId": 1, "csChargingProfiles": profile_16(made, 5, now())}
        else:
            payload = {"evseId": 1, "chargingProfile": profile_2(made, 5, now())}
        raw = {"ocpp": {"action": "SetChargingProfile", "payload": payload}}
        _, done = await charger.ask(raw, {"status": "Rejected"})
        assert (done["state"], await there(charger)) == ("rejected", [])


@BOTH
async def test_TC_K_03_and_K_10_K04_FR_03_the_whole_station_is_evse_0(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        most = absolute(8, purpose="station_max")
        (call,), _ = await charger.ask(set_(profile=most), ACCEPTED)
        (other,), _ = await charger.ask(set_(profile=absolute(6)), ACCEPTED)
        name = "ChargePointMaxProfile" if protocol == "ocpp1.6" else "ChargingStationMaxProfile"
        assert sent(call)["chargingProfilePurpose"] == name
        assert await there(charger) == [
            (number(call), 0, "station_max", 0),
            (number(other), 0, "tx_default", 0),
        ]
        assert "whole station" in await charger.refused(set_(1, profile=most))
        external = absolute(8, purpose="station_external")
        assert "not ours" in await charger.refused(set_(profile=external))


@BOTH
async def test_TC_K_04_a_profile_in_the_same_place_replaces_the_first(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        (first,), _ = await charger.ask(set_(1, profile=absolute(8)), ACCEPTED)
        (second,), _ = await charger.ask(set_(1, profile=absolute(6)), ACCEPTED)
        assert number(first) == number(second)
        (other,), _ = await charger.ask(set_(2, profile=absolute(6)), ACCEPTED)
        assert number(other) != number(first)
        assert await there(charger) == [
            (number(first), 1, "tx_default", 0),
            (number(other), 2, "tx_default", 0),
        ]
        given = set_(1, profile=absolute(6, id=number(other) + 1000))
        if protocol == "ocpp1.6":  # 3.13.1: purpose and stack level are enough
            await charger.ask(given, ACCEPTED)
            assert [one[0] for one in await there(charger)] == [
                number(other), number(other) + 1000,
            ]  # fmt: skip
        else:  # K01.FR.06
            assert f"profile {number(first)} has this" in await charger.refused(given)
            later = {"valid_from": END, "valid_to": "2030-02-01T00:00:00Z"}
            await charger.ask(set_(1, profile=absolute(6) | later), ACCEPTED)
            assert len(await there(charger)) == 3


@BOTH
async def test_TC_067_K_05_K_06_and_K_08_K10_what_is_cleared_is_gone(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        numbers = []
        for evse_id, level in ((0, 0), (1, 0), (1, 1), (2, 0)):
            command = set_(evse_id, profile=absolute(6, stack_level=level))
            (call,), _ = await charger.ask(command, ACCEPTED)
            numbers.append(number(call))
        clear: dict[str, Any] = {"type": "clear_charging_profile"}
        (call,), _ = await charger.ask(clear | {"profile_id": numbers[0]}, ACCEPTED)
        name = "id" if protocol == "ocpp1.6" else "chargingProfileId"
        assert call == ("ClearChargingProfile", {name: numbers[0]})
        assert [one[0] for one in await there(charger)] == numbers[1:]
        criteria = {"evse_id": 1, "purpose": "tx_default", "stack_level": 1}
        (call,), _ = await charger.ask(clear | criteria, ACCEPTED)
        wire = {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1}
        if protocol == "ocpp1.6":
            assert call[1] == wire | {"connectorId": 1}
        else:
            assert call[1] == {"chargingProfileCriteria": wire | {"evseId": 1}}
        assert [one[0] for one in await there(charger)] == [numbers[1], numbers[3]]
        # Unknown: the station has none, whatever we believed.
        _, done = await charger.ask(clear | {"evse_id": 2}, {"status": "Unknown"})
        assert done["state"] == "rejected"
        assert [one[0] for one in await there(charger)] == [numbers[1]]
        if protocol == "ocpp1.6":
            (call,), _ = await charger.ask(clear, ACCEPTED)
            assert (call[1], await there(charger)) == ({}, [])
        else:  # K10.FR.02
            assert "at least one" in await charger.refused(clear)
            assert "or by" in await charger.refused(clear | criteria | {"profile_id": 1})
        external = clear | {"purpose": "station_external"}
        assert "not ours" in await charger.refused(external)


@BOTH
async def test_TC_066_and_K_43_K08_a_composite_schedule_is_asked_for(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        command = {"type": "get_composite_schedule", "evse_id": 1, "duration_s": 300, "unit": "W"}
        (call,), done = await charger.ask(command, ACCEPTED)
        where = "connectorId" if protocol == "ocpp1.6" else "evseId"
        wire = {where: 1, "duration": 300, "chargingRateUnit": "W"}
        assert call == ("GetCompositeSchedule", wire)
        assert done["result"] == ACCEPTED
        (call,), _ = await charger.ask(
            {"type": "get_composite_schedule", "duration_s": 1}, {"status": "Rejected"}
        )
        assert call[1] == {where: 0, "duration": 1}


@BOTH
async def test_TC_059_and_K_37_K05_a_remote_start_brings_its_profile(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        start = {"type": "remote_start", "id_token": "GOOD", "evse_id": 1}
        wanted = profile(16, kind="relative")
        (call,), done = await charger.ask(start | {"charging_profile": wanted}, ACCEPTED)
        assert done["state"] == "accepted"
        assert sent(call)["chargingProfilePurpose"] == "TxProfile"
        assert "transactionId" not in sent(call)
        assert number(call) > 0
        for wrong, why in (
            ({"purpose": "station_max", "kind": "absolute"}, "tx profile only"),
            ({"session_id": str(uuid4())}, "no id yet"),
        ):
            refused = start | {"charging_profile": wanted | wrong}
            assert why in await charger.refused(refused)


@BOTH
async def test_TC_K_15_a_station_without_smart_charging_says_so(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        _, done = await charger.ask(set_(1, profile=absolute()), "NotSupported")
        assert (done["state"], done["result"]["code"]) == ("failed", "NotSupported")
        assert await there(charger) == []


@BOTH
async def test_TC_K_19_a_recurring_profile(gateway: Gateway, protocol: str) -> None:
    async with station(gateway, protocol) as charger:
        daily = absolute(kind="recurring", recurrency="daily")
        (call,), _ = await charger.ask(set_(1, profile=daily), ACCEPTED)
        assert sent(call)["chargingProfileKind"] == "Recurring"
        assert sent(call)["recurrencyKind"] == "Daily"


@TWO
async def test_TC_K_29_K09_the_stations_own_report_is_believed(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        (call,), _ = await charger.ask(set_(1, profile=absolute(6, id=5)), ACCEPTED)
        ask = {
            "type": "get_charging_profiles", "evse_id": 0,
            "charging_profile": {"chargingProfilePurpose": "TxDefaultProfile"},
        }  # fmt: skip
        (asked,), _ = await charger.ask(ask, ACCEPTED)
        assert asked[1]["evseId"] == 0
        external = sent(call) | {
            "id": 9, "chargingProfilePurpose": "ChargingStationExternalConstraints",
        }  # fmt: skip
        report = {
            "requestId": asked[1]["requestId"], "chargingLimitSource": "EMS", "evseId": 0,
            "chargingProfile": [external],
        }  # fmt: skip
        assert await charger.send("ReportChargingProfiles", report) == {}
        assert await charger.notified("ReportChargingProfiles") == [report]
        found = await charger.get(f"/v1/stations/{charger.id}/charging-profiles", evse_id=0)
        (one,) = found["items"]
        assert (one["source"], one["purpose"], one["profile"]) == (
            "EMS", "station_external", external,
        )  # fmt: skip
        # NoProfiles, of ours at EVSE 1: what we believed is not there; the external one stays.
        ask["evse_id"] = 1
        await charger.ask(ask, {"status": "NoProfiles"})
        assert [row[0] for row in await there(charger)] == [9]


@TWO
async def test_TC_K_48_K_50_and_K_51_K14_FR_02_FR_03_limits_of_others_are_kept(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        told = {"chargingLimit": {"chargingLimitSource": "EMS", "isGridCritical": True}}
        assert await charger.send("NotifyChargingLimit", told) == {}
        assert await charger.notified("NotifyChargingLimit") == [told]
        over = {"chargingLimitSource": "EMS", "evseId": 1}
        assert await charger.send("ClearedChargingLimit", over) == {}
        assert await charger.notified("ClearedChargingLimit") == [over]


async def test_1_6_cannot_have_what_only_2_x_has(gateway: Gateway) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        two = absolute(schedules=[schedule(), schedule()])
        assert "one schedule" in await charger.refused(set_(1, profile=two))
        period = {"start_s": 0, "limit": 6, "phases": 1, "phase_to_use": 2}
        phase = absolute(schedules=[schedule(periods=[period])])
        assert "choose the phase" in await charger.refused(set_(1, profile=phase))


async def test_a_named_profile_is_kept_changed_and_sent_by_name(gateway: Gateway) -> None:
    async with station(gateway, "ocpp2.0.1") as charger:
        name = f"night {uuid4()}"
        async with gateway.service.as_(OPERATOR, *SCOPES) as api:
            made = await api.post("/v1/charging-profiles", json=absolute(10) | {"name": name})
            assert (made.status_code, made.headers["etag"]) == (201, '"1"')
            path = f"/v1/charging-profiles/{made.json()['id']}"
            taken = await api.post("/v1/charging-profiles", json=absolute() | {"name": name})
            assert (taken.status_code, taken.json()["type"][-27:]) == (
                409, "charging-profile-name-taken",
            )  # fmt: skip
            body = {"profile": absolute(11)}
            assert (await api.patch(path, json=body)).status_code == 428
            stale = await api.patch(path, json=body, headers={"If-Match": '"9"'})
            assert stale.status_code == 412
            changed = await api.patch(path, json=body, headers={"If-Match": '"1"'})
            assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
            assert (await api.get(path)).json() == changed.json()
            assert changed.json()["schedules"][0]["periods"][0]["limit"] == 11
            found = (await api.get("/v1/charging-profiles", params={"name": name})).json()
            assert [one["id"] for one in found["items"]] == [made.json()["id"]]
        (call,), _ = await charger.ask(set_(1, profile_name=name), ACCEPTED)
        period = sent(call)["chargingSchedule"][0]["chargingSchedulePeriod"][0]
        assert period["limit"] == 11
        async with gateway.service.as_(uuid4(), *SCOPES) as api:
            assert (await api.get(path)).status_code == 404
            theirs = await api.patch(path, json=body, headers={"If-Match": "*"})
            assert theirs.status_code == 404
            assert (await api.delete(path)).status_code == 404
            installed = await api.get(f"/v1/stations/{charger.id}/charging-profiles")
            assert installed.json()["items"] == []
        async with gateway.service.as_(OPERATOR, *SCOPES) as api:
            assert (await api.delete(path)).status_code == 204
        assert "no charging profile named" in await charger.refused(set_(1, profile_name=name))


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedules": []},
        {"schedules": [schedule(periods=[{"start_s": 1, "limit": 6}])]},
        {"schedules": [schedule(periods=[{"start_s": 0, "limit": 6}] * 2)]},
        {"kind": "recurring"},
        {"recurrency": "daily"},
        {"kind": "recurring", "recurrency": "daily"},
        {"kind": "relative", "purpose": "station_max"},
        {"kind": "relative", "schedules": [schedule(start_at=START)]},
        {"schedules": [schedule(periods=[{"start_s": 0, "limit": 6, "phase_to_use": 1}])]},
        {"valid_from": END, "valid_to": START},
    ],
)
async def test_K01_a_profile_that_cannot_be_is_refused_at_once(
    gateway: Gateway, wrong: dict[str, Any]
) -> None:
    async with gateway.service.as_(OPERATOR, *SCOPES) as api:
        named = profile() | {"name": str(uuid4())} | wrong
        assert (await api.post("/v1/charging-profiles", json=named)).status_code == 422
        command = set_(1, profile=profile() | wrong)
        assert (await api.post("/v1/stations/X/commands", json=command)).status_code == 422
        for both in ({}, {"profile": profile(), "profile_name": "x"}):
            bad = await api.post("/v1/stations/X/commands", json=set_(1, **both))
            assert bad.status_code == 422


LIMITS = st.floats(0, 1e6, allow_nan=False) | st.decimals(0, 500, places=2).map(float)


@st.composite
def profiles(draw: st.DrawFn) -> ChargingProfile:
    kind = draw(st.sampled_from(["absolute", "recurring", "relative"]))
    purpose = draw(st.sampled_from(["tx_default", "tx"]))
    starts = sorted({0, *draw(st.lists(st.integers(1, 90_000), max_size=5))})
    schedules = [
        schedule(
            unit=draw(st.sampled_from("AW")),
            start_at=None if kind == "relative" else START,
            duration_s=draw(st.none() | st.integers(0, 90_000)),
            min_charging_rate=draw(st.none() | LIMITS),
            periods=[
                {"start_s": at, "limit": draw(LIMITS), "phases": draw(st.none() | st.just(3))}
                for at in starts
            ],
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    return ChargingProfile.model_validate(
        {
            "kind": kind,
            "purpose": purpose,
            "recurrency": "weekly" if kind == "recurring" else None,
            "stack_level": draw(st.integers(0, 9)),
            "valid_from": draw(st.none() | st.just(START)),
            "valid_to": draw(st.none() | st.just(END)),
            "schedules": schedules,
        }
    )


@given(profiles(), st.integers(1, 2**31 - 1))
def test_every_translation_is_valid_and_limits_no_less(
    wanted: ChargingProfile, transaction_id: int
) -> None:
    at = now() + timedelta(hours=1)
    two = profile_2(wanted, 1, at, str(transaction_id))
    for version in ("v201", "v21"):
        schemas.check_outgoing(version, "SetChargingProfile", {"evseId": 1, "chargingProfile": two})
    first = wanted.model_copy(update={"schedules": wanted.schedules[:1]})
    one = profile_16(first, 1, at, transaction_id)
    payload = {"connectorId": 1, "csChargingProfiles": one}
    schemas.check_outgoing("v16", "SetChargingProfile", payload)
    for asked, made in zip(
        [*wanted.schedules, wanted.schedules[0]],
        [*two["chargingSchedule"], one["chargingSchedule"]],
        strict=True,
    ):
        for period, told in zip(asked.periods, made["chargingSchedulePeriod"], strict=True):
            assert period.limit is not None
            assert period.limit - 0.1 < told["limit"] <= period.limit
            assert round(told["limit"] * 10) == pytest.approx(told["limit"] * 10, abs=1e-6)


def test_a_limit_loses_what_ocpp_cannot_say_and_no_more() -> None:
    assert [tenth(x) for x in (16, 10.1, 0.3, 16.19, 7.05, 0.0)] == [16, 10.1, 0.3, 16.1, 7.0, 0]
