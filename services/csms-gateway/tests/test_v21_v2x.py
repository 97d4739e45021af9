"""OCPP 2.1, block Q: cars that give energy back, by profiles that are sent as OCPP has them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
from gateway_commands import ACCEPTED, V21, Staffed, staffed
from gateway_wire import EVSE, OPERATOR, Gateway, stamp

TX = {"transaction": "tx-1"}
V2X = {
    "maxChargePower": 11_000.0, "maxDischargePower": 10_000.0, "evTargetEnergyRequest": 20_000.0,
    "evMinEnergyRequest": -5_000.0, "evMaxEnergyRequest": 40_000.0, "targetSoC": 80,
}  # fmt: skip
AC = {"energyAmount": 20_000, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400}
BOTH_WAYS = {
    "evseId": 1,
    "chargingNeeds": {
        "requestedEnergyTransfer": "AC_BPT",
        "availableEnergyTransfer": ["AC_three_phase", "AC_BPT"],
        "controlMode": "ScheduledControl", "v2xChargingParameters": V2X,
    },
}  # fmt: skip
EVCCID = {
    "idToken": "GOOD", "type": "ISO14443",
    "additionalInfo": [{"additionalIdToken": "EVCC-1", "type": "EVCCID"}],
}  # fmt: skip


@asynccontextmanager
async def kept_for_evs(gateway: Gateway) -> AsyncIterator[None]:
    """The operator keeps a profile for EVs that charge."""
    schedule = {"unit": "W", "periods": [{"start_s": 0, "limit": 11_000}]}
    body = {"name": "for EVs of 2.1", "for_evs": True, "purpose": "tx", "schedules": [schedule]}
    async with gateway.service.as_(OPERATOR, "commands:write") as api:
        made = await api.post("/v1/charging-profiles", json=body)
        assert made.status_code == 201, made.text
        try:
            yield
        finally:
            await api.delete(f"/v1/charging-profiles/{made.json()['id']}")


@pytest.fixture
async def for_evs(gateway: Gateway) -> AsyncIterator[None]:
    async with kept_for_evs(gateway):
        yield


def profile(*periods: dict[str, Any], **changes: Any) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "id": 1, "chargingRateUnit": "W", "startSchedule": "2026-01-01T00:00:00.000Z",
        "chargingSchedulePeriod": list(periods),
    }  # fmt: skip
    found = {
        "id": 5, "stackLevel": 2, "chargingProfilePurpose": "TxProfile", "transactionId": "tx-1",
        "chargingProfileKind": "Absolute", "chargingSchedule": [schedule],
    } | changes  # fmt: skip
    if found["chargingProfilePurpose"] != "TxProfile":
        del found["transactionId"]
    if found["chargingProfileKind"] == "Dynamic":
        del schedule["startSchedule"]
    return found


def period(mode: str, start_s: int = 0, **more: Any) -> dict[str, Any]:
    return {"startPeriod": start_s, "operationMode": mode} | more


async def plugged_in(staff: Staffed) -> None:
    answer = await staff.wire.event(
        "Started", 0, "Authorized", idToken=EVCCID, evse=EVSE, wh=0,
        info={"operationMode": "ChargingOnly"}, **TX,
    )  # fmt: skip
    assert answer["idTokenInfo"] == {"status": "Accepted"}


async def sets(
    staff: Staffed, wanted: dict[str, Any], answer: dict[str, Any] | None = None, evse_id: int = 1
) -> dict[str, Any]:
    """A profile is sent exactly so; its command."""
    payload = {"evseId": evse_id, "chargingProfile": wanted}
    command = {"ocpp": {"action": "SetChargingProfile", "payload": payload}}
    done, calls = await staff.send(command, answer or ACCEPTED)
    assert calls == [("SetChargingProfile", payload)]
    return done


async def there(staff: Staffed) -> list[dict[str, Any]]:
    found = await staff.get("charging-profiles", "commands:read")
    return [one["profile"] for one in found["items"]]


@pytest.mark.parametrize("offered", [False, True])
async def test_Q01_an_ev_that_gives_back_goes_by_the_profile_on_the_station(
    gateway: Gateway, *, offered: bool
) -> None:
    basis = kept_for_evs(gateway) if offered else nullcontext()
    async with basis, staffed(gateway, V21) as staff:
        default = profile(
            period("CentralSetpoint", setpoint=-4000.0), chargingProfilePurpose="TxDefaultProfile"
        )
        await sets(staff, default, evse_id=0)
        # Q01.FR.08: nobody has told us what this car may, so the answer does not say.
        answer = await staff.wire.send("Authorize", {"idToken": EVCCID})
        assert answer == {"idTokenInfo": {"status": "Accepted"}}
        await plugged_in(staff)
        answer = await staff.wire.send("NotifyEVChargingNeeds", BOTH_WAYS)
        assert answer["status"] == "NoChargingProfile"
        await staff.quiet()
        (kept,) = await staff.notifications(action="NotifyEVChargingNeeds")
        assert kept["payload"] == BOTH_WAYS
        await staff.wire.event(
            "Updated", 1, "OperationModeChanged", info={"operationMode": "CentralSetpoint"}, **TX
        )
        (known,) = await gateway.transactions(station_id=staff.station_id)
        assert known["details"] == {"operationMode": "CentralSetpoint"}


@pytest.mark.usefixtures("for_evs")
async def test_Q01_a_car_that_could_give_back_charges_where_nobody_has_a_v2x_profile(
    gateway: Gateway,
) -> None:
    # Rejected would end its session (Q01.FR.04 and FR.06).
    async with staffed(gateway, V21) as staff:
        await plugged_in(staff)
        charging = profile(
            period("ChargingOnly", limit=9000.0), chargingProfilePurpose="TxDefaultProfile"
        )
        await sets(staff, charging)
        assert await staff.wire.send("NotifyEVChargingNeeds", BOTH_WAYS) == ACCEPTED
        action, sent = await staff.asked()
        assert action == "SetChargingProfile"
        (schedule,) = sent["chargingProfile"]["chargingSchedule"]
        periods = schedule["chargingSchedulePeriod"]
        assert all(one.keys() <= {"startPeriod", "limit", "numberPhases"} for one in periods)
        assert max(one["limit"] for one in periods) == V2X["maxChargePower"]
        await staff.quiet()


@pytest.mark.usefixtures("for_evs")
async def test_Q02_FR_01_FR_02_and_05_a_car_charges_first_and_may_give_back_later(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V21) as staff:
        await plugged_in(staff)
        charge_first = {
            "evseId": 1,
            "chargingNeeds": {
                "requestedEnergyTransfer": "AC_three_phase", "acChargingParameters": AC,
                "availableEnergyTransfer": ["AC_three_phase", "AC_BPT"],
            },
        }  # fmt: skip
        assert await staff.wire.send("NotifyEVChargingNeeds", charge_first) == ACCEPTED
        action, sent = await staff.asked()
        assert action == "SetChargingProfile"
        periods = sent["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"]
        assert periods
        assert all(one.keys() <= {"startPeriod", "limit", "numberPhases"} for one in periods)
        command = {
            "type": "notify_allowed_energy_transfer", "transaction_id": "tx-1",
            "allowed_energy_transfer": ["AC_three_phase", "AC_BPT"],
        }  # fmt: skip
        done, calls = await staff.send(command)
        allowed = {
            "transactionId": "tx-1", "allowedEnergyTransfer": ["AC_three_phase", "AC_BPT"],
        }  # fmt: skip
        assert calls == [("NotifyAllowedEnergyTransfer", allowed)]
        assert done["state"] == "accepted"
        # The operator's own profile for this session; then the car asks for both ways.
        await sets(staff, profile(period("CentralSetpoint", setpoint=-3000.0), stackLevel=3))
        answer = await staff.wire.send("NotifyEVChargingNeeds", BOTH_WAYS)
        assert answer["status"] == "NoChargingProfile"
        assert len(await staff.notifications(action="NotifyEVChargingNeeds")) == 2


async def test_Q03_FR_01_and_02_a_schedule_of_setpoints_is_the_sessions(gateway: Gateway) -> None:
    async with staffed(gateway, V21) as staff:
        await plugged_in(staff)
        wanted = profile(
            period("CentralSetpoint", setpoint=7000.0),
            period("CentralSetpoint", 3600, setpoint=-5000.0, setpointReactive=500.0),
            period("ChargingOnly", 7200, limit=11_000.0),
        )
        assert (await sets(staff, wanted))["state"] == "accepted"
        (known,) = await gateway.transactions(station_id=staff.station_id)
        (one,) = (await staff.get("charging-profiles", "commands:read"))["items"]
        assert (one["session_id"], one["purpose"], one["profile"]) == (
            known["session_id"], "tx", wanted,
        )  # fmt: skip
        # What is no operation mode is not sent.
        payload = {"evseId": 1, "chargingProfile": profile(period("Backwards"))}
        async with gateway.service.as_(OPERATOR, "commands:write") as api:
            refused = await api.post(
                f"/v1/stations/{staff.station_id}/commands",
                json={"ocpp": {"action": "SetChargingProfile", "payload": payload}},
            )
        assert (refused.status_code, "invalid-payload" in refused.json()["type"]) == (422, True)


@pytest.mark.parametrize("mode", ["CentralSetpoint", "CentralFrequency"])
async def test_Q04_Q07_a_setpoint_that_changes_is_pushed_and_pulled(
    gateway: Gateway, mode: str
) -> None:
    pull = {"chargingProfileId": 5}
    async with staffed(gateway, V21) as staff:
        await plugged_in(staff)
        dynamic = {"chargingProfileKind": "Dynamic", "dynUpdateInterval": 60}
        wanted = profile(period(mode, setpoint=2000.0), **dynamic)
        await sets(staff, wanted)
        answer = await staff.wire.send("PullDynamicScheduleUpdate", pull)
        assert answer == {"status": "Accepted", "scheduleUpdate": {"setpoint": 2000.0}}
        for status, setpoint, newest in (
            ("Accepted", -1500.0, -1500.0),
            ("Rejected", 9.0, -1500.0),
        ):
            update = {"setpoint": setpoint}
            command = {
                "type": "update_dynamic_schedule", "charging_profile_id": 5,
                "schedule_update": update,
            }  # fmt: skip
            done, calls = await staff.send(command, {"status": status})
            sent = {"chargingProfileId": 5, "scheduleUpdate": update}
            assert calls == [("UpdateDynamicSchedule", sent)]
            assert done["state"] == status.lower()
            answer = await staff.wire.send("PullDynamicScheduleUpdate", pull)
            assert answer["scheduleUpdate"] == {"setpoint": newest}
        assert await there(staff) == [wanted]


@pytest.mark.parametrize(
    ("mode", "values"),
    [
        ("ExternalSetpoint", {"setpoint": -2500.0, "setpointReactive": 100.0}),
        ("ExternalLimits", {"limit": 8000.0, "dischargeLimit": -3000.0}),
    ],
)
async def test_Q05_K29_FR_03_what_an_external_system_sets_is_seen_in_the_stations_report(
    gateway: Gateway, mode: str, values: dict[str, Any]
) -> None:
    async with staffed(gateway, V21) as staff:
        await plugged_in(staff)
        given = profile(period(mode), chargingProfileKind="Dynamic")
        await sets(staff, given)
        criteria = {"chargingProfileId": [5]}
        _, ((_, asked),) = await staff.send(
            {"type": "get_charging_profiles", "charging_profile": criteria}
        )
        now_set = profile(
            period(mode, **values), chargingProfileKind="Dynamic", dynUpdateTime=stamp()
        )
        report = {
            "requestId": asked["requestId"], "chargingLimitSource": "CSO", "evseId": 1,
            "chargingProfile": [now_set],
        }  # fmt: skip
        assert await staff.wire.send("ReportChargingProfiles", report) == {}
        assert await there(staff) == [now_set]


@pytest.mark.parametrize(
    ("mode", "values"),
    [
        ("ExternalLimits", {"limit": 9000.0, "dischargeLimit": -4000.0}),
        ("ExternalSetpoint", {"setpoint": -2000.0, "setpoint_L2": -1000.0}),
    ],
)
async def test_Q06_limits_and_setpoints_of_others_are_listed(
    gateway: Gateway, mode: str, values: dict[str, Any]
) -> None:
    schedule = {
        "id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period(mode, **values)],
    }  # fmt: skip
    limit = {"chargingLimitSource": "EMS", "isGridCritical": True}
    told = {"evseId": 0, "chargingLimit": limit, "chargingSchedule": [schedule]}
    async with staffed(gateway, V21) as staff:
        assert await staff.wire.send("NotifyChargingLimit", told) == {}
        (kept,) = await staff.notifications(action="NotifyChargingLimit")
        assert kept["payload"] == told
        assert await there(staff) == [], "it is not ours"


async def test_Q08_a_signal_of_the_grids_operator_is_passed_on(gateway: Gateway) -> None:
    curve = [{"frequency": 49.8, "power": -5000.0}, {"frequency": 50.2, "power": 5000.0}]
    signals = [{"signal": -100, "power": -2000.0}, {"signal": 100, "power": 2000.0}]
    refusal = {"status": "Rejected", "statusInfo": {"reasonCode": "NoSignalWattCurve"}}
    at = "2026-11-24T12:00:00Z"
    command = {"type": "afrr_signal", "timestamp": at, "signal": -40}
    async with staffed(gateway, V21) as staff:
        await plugged_in(staff)
        done, calls = await staff.send(command, refusal)
        assert calls == [("AFRRSignal", {"timestamp": at, "signal": -40})]
        assert (done["state"], done["result"]) == ("rejected", refusal)
        wanted = profile(
            period(
                "LocalFrequency", v2xBaseline=1000.0, v2xFreqWattCurve=curve,
                v2xSignalWattCurve=signals,
            )
        )  # fmt: skip
        await sets(staff, wanted)
        assert await there(staff) == [wanted]
        done, _ = await staff.send(command, ACCEPTED)
        assert done["state"] == "accepted"


async def test_Q09_load_is_balanced_within_what_the_station_was_told(gateway: Gateway) -> None:
    names = ["UpperThreshold", "LowerThreshold", "UpperOffset", "LowerOffset"]
    missing = {"status": "Rejected", "statusInfo": {"reasonCode": "MissingDevModelInfo"}}
    async with staffed(gateway, V21) as staff:
        await plugged_in(staff)
        wanted = profile(period("LocalLoadBalancing", limit=11_000.0, dischargeLimit=-9000.0))
        done = await sets(staff, wanted, missing)
        assert (done["state"], done["result"]) == ("rejected", missing)
        assert await there(staff) == []
        values = [
            {
                "component": "V2XChargingCtrlr", "variable": "LocalLoadBalancing",
                "variable_instance": name, "value": str(n * 100),
            }
            for n, name in enumerate(names)
        ]  # fmt: skip
        taken = [
            {
                "attributeStatus": "Accepted", "component": {"name": "V2XChargingCtrlr"},
                "variable": {"name": "LocalLoadBalancing", "instance": name},
            }
            for name in names
        ]  # fmt: skip
        done, _ = await staff.send(
            {"type": "set_variables", "variables": values}, {"setVariableResult": taken}
        )
        assert done["state"] == "accepted"
        assert (await sets(staff, wanted))["state"] == "accepted"
        assert await there(staff) == [wanted]


async def test_Q10_a_station_that_sleeps_between_periods_says_so(gateway: Gateway) -> None:
    async with staffed(gateway, V21) as staff:
        await plugged_in(staff)
        wanted = profile(
            period("Idle", evseSleep=True, preconditioningRequest=False),
            period("ChargingOnly", 3600, limit=11_000.0),
        )
        await sets(staff, wanted)
        assert await there(staff) == [wanted]
        for seq_no, asleep in ((1, True), (2, False)):
            await staff.wire.event(
                "Updated", seq_no, "OperationModeChanged", evseSleep=asleep,
                info={"operationMode": "Idle" if asleep else "ChargingOnly"}, **TX,
            )  # fmt: skip
            (known,) = await gateway.transactions(station_id=staff.station_id)
            assert known["details"] == {
                "operationMode": "Idle" if asleep else "ChargingOnly", "evseSleep": asleep,
            }  # fmt: skip


async def test_Q11_Q12_a_profile_that_an_outage_ended_is_known_to_be_gone(
    gateway: Gateway,
) -> None:
    charging = profile(period("ChargingOnly", limit=11_000.0), id=4, stackLevel=1)
    v2x = profile(
        period("CentralSetpoint", setpoint=-5000.0), maxOfflineDuration=60,
        invalidAfterOfflineDuration=True,
    )  # fmt: skip
    async with staffed(gateway, V21) as staff:
        await plugged_in(staff)
        await sets(staff, charging)
        await sets(staff, v2x)
        assert await there(staff) == [charging, v2x]
    async with staffed(gateway, V21, staff.station_id) as staff:
        # What it did meanwhile comes late; then it is asked what it still goes by.
        await staff.wire.event(
            "Updated", 1, "OperationModeChanged", offline=True, timestamp=stamp(30),
            info={"operationMode": "ChargingOnly"}, **TX,
        )  # fmt: skip
        (known,) = await gateway.transactions(station_id=staff.station_id)
        assert (known["ended_at"], known["details"]) == (None, {"operationMode": "ChargingOnly"})
        criteria = {"chargingProfileId": [5]}
        await staff.send(
            {"type": "get_charging_profiles", "charging_profile": criteria},
            {"status": "NoProfiles"},
        )
        assert await there(staff) == [charging]
        await sets(staff, v2x)
        assert await there(staff) == [charging, v2x]
