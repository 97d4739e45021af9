"""Setpoints and operation modes in words of our own: OCPP 2.1 says them, other versions cannot."""

from typing import Any
from uuid import uuid4

import pytest
from asked_station import station
from gateway_commands import ACCEPTED, V16, V21, V201
from gateway_wire import OPERATOR, Gateway
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.clock import now
from csms_gateway import schemas
from csms_gateway.charging_profile_forms import profile_2, toward_zero
from csms_gateway.commands.charging_profile import ChargingProfile
from csms_gateway.commands.operation_modes import POWERS, TAKES

CURVE = [{"frequency_hz": 49.8, "power_w": -5000}, {"frequency_hz": 50.2, "power_w": 5000}]
SIGNALS = [{"signal": -100, "power_w": -2000}, {"signal": 100, "power_w": 2000}]


def profile(*periods: dict[str, Any], unit: str = "W", **more: Any) -> dict[str, Any]:
    numbered = [{"start_s": 3600 * number} | one for number, one in enumerate(periods)]
    return {"purpose": "tx_default", "schedules": [{"unit": unit, "periods": numbered}]} | more


def setting(wanted: dict[str, Any]) -> dict[str, Any]:
    return {"type": "set_charging_profile", "evse_id": 1, "profile": wanted}


async def test_Q03_FR_01_and_02_Q08_Q09_Q10_each_mode_is_sent_in_the_words_of_2_1(
    gateway: Gateway,
) -> None:
    wanted = profile(
        {"operation_mode": "charging_only", "limit": 11_000, "limit_l2": 7000, "limit_l3": 0},
        {"operation_mode": "central_setpoint", "setpoint": -5000.17, "setpoint_reactive": 500},
        {"operation_mode": "central_frequency", "setpoint": 70, "discharge_limit": -3000.19},
        {"operation_mode": "local_frequency", "v2x_baseline": 1000, "freq_watt_curve": CURVE,
         "signal_watt_curve": SIGNALS},
        {"operation_mode": "external_setpoint", "limit": 8000},
        {"operation_mode": "external_limits"},
        {"operation_mode": "local_load_balancing", "limit": 9000, "discharge_limit": -9000,
         "discharge_limit_l2": -1},
        {"operation_mode": "idle", "preconditioning": False, "evse_sleep": True},
    )  # fmt: skip
    async with station(gateway, V21) as charger:
        (call,), done = await charger.ask(setting(wanted), ACCEPTED)
        (schedule,) = call[1]["chargingProfile"]["chargingSchedule"]
        told = schedule["chargingSchedulePeriod"]
        assert [one.pop("startPeriod") for one in told] == [3600 * number for number in range(8)]
        assert told == [
            {"operationMode": "ChargingOnly", "limit": 11_000, "limit_L2": 7000, "limit_L3": 0},
            {"operationMode": "CentralSetpoint", "setpoint": -5000.1, "setpointReactive": 500},
            {"operationMode": "CentralFrequency", "setpoint": 70, "dischargeLimit": -3000.1},
            {
                "operationMode": "LocalFrequency",
                "v2xBaseline": 1000,
                "v2xFreqWattCurve": [
                    {"frequency": 49.8, "power": -5000}, {"frequency": 50.2, "power": 5000},
                ],
                "v2xSignalWattCurve": [
                    {"signal": -100, "power": -2000}, {"signal": 100, "power": 2000},
                ],
            },
            {"operationMode": "ExternalSetpoint", "limit": 8000},
            {"operationMode": "ExternalLimits"},
            {"operationMode": "LocalLoadBalancing", "limit": 9000, "dischargeLimit": -9000,
             "dischargeLimit_L2": -1},
            {"operationMode": "Idle", "preconditioningRequest": False, "evseSleep": True},
        ]  # fmt: skip
        assert done["state"] == "accepted"


async def test_Q04_K28_FR_01_and_10_a_dynamic_profile_is_kept_under_a_name_and_updated(
    gateway: Gateway,
) -> None:
    dynamic = profile(
        {"operation_mode": "central_setpoint", "setpoint": 2000}, kind="dynamic",
        update_interval_s=60,
    )  # fmt: skip
    name = f"v2x {uuid4()}"
    async with gateway.service.as_(OPERATOR, "commands:write", "commands:read") as api:
        made = await api.post("/v1/charging-profiles", json=dynamic | {"name": name})
        assert (made.status_code, made.json()["kind"]) == (201, "dynamic")
        path = f"/v1/charging-profiles/{made.json()['id']}"
        kept = {"If-Match": made.headers["ETag"]}
        # What EVs are offered without asking anybody is a limit, and this has none.
        for_evs = await api.patch(path, json={"for_evs": True}, headers=kept)
        assert for_evs.json()["type"].endswith(":no-limit-for-evs")
        assert (await api.get(path)).json()["for_evs"] is False
    by_name = {"type": "set_charging_profile", "evse_id": 1, "profile_name": name}
    async with station(gateway, V21) as charger:
        (call,), _ = await charger.ask(by_name, ACCEPTED)
        sent = call[1]["chargingProfile"]
        assert (sent["chargingProfileKind"], sent["dynUpdateInterval"]) == ("Dynamic", 60)
        (schedule,) = sent["chargingSchedule"]
        assert "startSchedule" not in schedule
        pulled = await charger.send("PullDynamicScheduleUpdate", {"chargingProfileId": sent["id"]})
        assert pulled == {"status": "Accepted", "scheduleUpdate": {"setpoint": 2000}}


@pytest.mark.parametrize("protocol", [V16, V201])
async def test_versions_before_2_1_are_asked_for_none_of_it(
    gateway: Gateway, protocol: str
) -> None:
    setpoint = profile({"operation_mode": "central_setpoint", "setpoint": -5000})
    phases = profile({"limit": 10, "limit_l2": 5})
    dynamic = profile({"limit": 10}, kind="dynamic")
    async with station(gateway, protocol) as charger:
        for wanted, why in (
            (setpoint, "operation_mode"), (phases, "limit_l2"), (dynamic, "dynamic profiles"),
        ):  # fmt: skip
            assert await charger.refused(setting(wanted)) == f"{why}: only OCPP 2.1 has it"
            start = {"type": "remote_start", "id_token": "GOOD", "charging_profile": wanted}
            assert await charger.refused(start) == f"{why}: only OCPP 2.1 has it"


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("limit is needed in the mode charging_only", profile({})),
    ("setpoint is not for the mode charging_only", profile({"limit": 1, "setpoint": 1})),
    ("limit is not for the mode central_setpoint",
     profile({"operation_mode": "central_setpoint", "setpoint": 1, "limit": 2})),
    ("setpoint is needed", profile({"operation_mode": "central_frequency"})),
    ("setpoint_l2 is not for", profile({"operation_mode": "external_limits", "setpoint_l2": 1})),
    ("limit_l2 needs limit", profile({"operation_mode": "external_setpoint", "limit_l2": 1})),
    ("less than or equal to 0", profile({"limit": 1, "discharge_limit": 1})),
    ("freq_watt_curve is needed",
     profile({"operation_mode": "local_frequency", "v2x_baseline": 1})),
    ("at least 2 items", profile({"operation_mode": "local_frequency", "v2x_baseline": 1,
                                  "freq_watt_curve": CURVE[:1]})),
    ("needs the unit W", profile({"operation_mode": "local_frequency", "v2x_baseline": 1,
                                  "freq_watt_curve": CURVE}, unit="A")),
    ("evse_sleep is not for", profile({"limit": 1, "evse_sleep": False})),
    ("is charging_only", profile({"operation_mode": "idle"}, purpose="station_max")),
    ("one schedule of one period", profile({"limit": 1}, {"limit": 2}, kind="dynamic")),
    ("of dynamic profiles", profile({"limit": 1}, update_interval_s=5)),
]  # fmt: skip


@pytest.mark.parametrize(("why", "wanted"), WRONG)
def test_what_a_mode_cannot_be_told_is_refused_at_once(why: str, wanted: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=why):
        ChargingProfile.model_validate(wanted)


POWER = st.floats(-1e6, 1e6, allow_nan=False)
VALUES = {
    "limit": st.floats(0, 1e6), "discharge_limit": st.floats(-1e6, 0), "setpoint": POWER,
    "setpoint_reactive": POWER, "v2x_baseline": POWER, "freq_watt_curve": st.just(CURVE),
    "signal_watt_curve": st.just(SIGNALS), "evse_sleep": st.booleans(),
}  # fmt: skip


@st.composite
def periods(draw: st.DrawFn) -> dict[str, Any]:
    mode = draw(st.sampled_from(sorted(TAKES)))
    said = [*TAKES[mode].needs, *(one for one in TAKES[mode].may_have if draw(st.booleans()))]
    found = {name: draw(VALUES[name]) for name in said}
    for name in said:
        if name in POWERS and draw(st.booleans()):
            found |= {f"{name}_l2": draw(VALUES[name]), f"{name}_l3": draw(VALUES[name])}
    return found | {"operation_mode": mode, "preconditioning": draw(st.booleans())}


@given(st.lists(periods(), min_size=1, max_size=4))
def test_every_mode_becomes_what_the_schema_of_2_1_allows(wanted: list[dict[str, Any]]) -> None:
    made = profile_2(ChargingProfile.model_validate(profile(*wanted)), 1, now())
    schemas.check_outgoing("v21", "SetChargingProfile", {"evseId": 1, "chargingProfile": made})
    told = made["chargingSchedule"][0]["chargingSchedulePeriod"]
    for asked, sent in zip(wanted, told, strict=True):
        assert len(sent) == len(asked) + 1  # and where it starts


@given(POWER)
def test_what_is_sent_is_never_more_than_was_said(power: float) -> None:
    assert abs(toward_zero(power)) <= abs(power) < abs(toward_zero(power)) + 0.1000001
