"""What an EV that tells its needs is offered (OCPP 2.0.1, K15 to K17; 2.1, K18 to K20)."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from asked_station import SCOPES, Station, station
from charging_schedules import AT, made, ocpp, steps
from gateway_wire import OPERATOR, Gateway, stamp
from hypothesis import given
from hypothesis import strategies as st

from csms_gateway import charging_needs
from csms_gateway.charging_needs import Needs, NoOffer, keeps_to, needs_of, offers

ACCEPTED = {"status": "Accepted"}
TWO = pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
AC = {"energyAmount": 20_000, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400}
DC = {"evMaxCurrent": 200, "evMaxVoltage": 500, "evMaxPower": 80_000, "energyAmount": 40_000}


def needs(**changes: Any) -> dict[str, Any]:
    told = {"requestedEnergyTransfer": "AC_three_phase", "acChargingParameters": AC}
    return {"evseId": 1, "chargingNeeds": told | changes}


@pytest.fixture
async def for_evs(gateway: Gateway) -> Any:
    """The operator keeps a profile for EVs: 32 A, 10 A in the first hour of each day."""
    periods = [{"start_s": 0, "limit": 10}, {"start_s": 3600, "limit": 32}]
    schedule = {"unit": "A", "start_at": "2026-01-01T00:00:00Z", "periods": periods}
    body = {
        "name": "for EVs",
        "for_evs": True,
        "kind": "recurring",
        "recurrency": "daily",
        "purpose": "tx",
        "schedules": [schedule],
        "stack_level": 3,
    }
    async with gateway.service.as_(OPERATOR, *SCOPES) as api:
        made = await api.post("/v1/charging-profiles", json=body)
        assert made.status_code == 201, made.text
        other = await api.post("/v1/charging-profiles", json=body | {"name": "another"})
        assert (other.status_code, other.json()["type"][-18:]) == (409, "another-is-for-evs")
        yield
        await api.delete(f"/v1/charging-profiles/{made.json()['id']}")


async def plugged_in(charger: Station, evse_id: int = 1) -> str:
    """The id of a transaction that has begun."""
    transaction = f"tx-{charger.id}-{evse_id}"
    await charger.event(
        "Started",
        0,
        "Authorized",
        token="GOOD",
        transaction=transaction,
        evse={"id": evse_id, "connectorId": 1},
    )
    return transaction


async def installed(charger: Station) -> list[dict[str, Any]]:
    found = await charger.get(f"/v1/stations/{charger.id}/charging-profiles")
    items: list[dict[str, Any]] = found["items"]
    return items


def plan(offer: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What the EV means to do: exactly what it was offered."""
    schedule = offer["chargingProfile"]["chargingSchedule"][0]
    return {
        "evseId": 1,
        "timeBase": schedule["startSchedule"],
        "chargingSchedule": schedule,
    } | changes


@TWO
async def test_TC_K_53_and_K_57_an_evs_needs_are_answered_with_a_schedule(
    gateway: Gateway, for_evs: None, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        transaction = await plugged_in(charger)
        told = needs() | {"maxScheduleTuples": 3}
        assert await charger.send("NotifyEVChargingNeeds", told) == ACCEPTED
        action, payload = await charger.called(ACCEPTED)
        assert (action, payload["evseId"]) == ("SetChargingProfile", 1)
        profile = payload["chargingProfile"]
        assert profile["transactionId"] == transaction
        assert profile["chargingProfilePurpose"] == "TxProfile"
        assert profile["stackLevel"] == 3
        (schedule,) = profile["chargingSchedule"]
        periods = schedule["chargingSchedulePeriod"]
        assert (schedule["id"], schedule["chargingRateUnit"]) == (1, "A")
        assert 1 <= len(periods) <= 3
        assert max(one["limit"] for one in periods) == 16.0  # the EV's own
        assert {one["numberPhases"] for one in periods} == {3}
        await charger.eventually(
            f"/v1/stations/{charger.id}/charging-profiles", lambda found: found["items"]
        )
        assert await charger.send("NotifyEVChargingSchedule", plan(payload)) == ACCEPTED
        # K17: the EV wants it otherwise; the profile keeps its number and place.
        assert await charger.send("NotifyEVChargingNeeds", needs()) == ACCEPTED
        _, again = await charger.called(ACCEPTED)
        assert again["chargingProfile"]["id"] == profile["id"]
        assert len(await charger.notified("NotifyEVChargingNeeds")) == 2


@TWO
async def test_TC_K_55_a_plan_above_the_offer_is_refused_and_the_offer_sent_again(
    gateway: Gateway, for_evs: None, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        await plugged_in(charger)
        await charger.send("NotifyEVChargingNeeds", needs())
        _, offer = await charger.called(ACCEPTED)
        await charger.eventually(
            f"/v1/stations/{charger.id}/charging-profiles", lambda found: found["items"]
        )
        greedy = plan(offer)["chargingSchedule"] | {
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1, "numberPhases": 3}]
        }
        told = plan(offer, chargingSchedule=greedy)
        answer = await charger.send("NotifyEVChargingSchedule", told)
        assert answer["status"] == "Rejected"
        assert await charger.called(ACCEPTED) == ("SetChargingProfile", offer)
        assert await charger.send("NotifyEVChargingSchedule", plan(offer)) == ACCEPTED
        assert len(await charger.notified("NotifyEVChargingSchedule")) == 2


@TWO
async def test_TC_K_55_a_plan_told_before_the_profile_is_stored_is_held_to_it(
    gateway: Gateway, for_evs: None, protocol: str
) -> None:
    async with (
        station(gateway, protocol) as charger,
        gateway.service.app.state.beside.gateway.pool.acquire() as db,
    ):
        await plugged_in(charger)
        async with db.transaction():
            await db.execute("lock table installed_charging_profile in share mode")
            await charger.send("NotifyEVChargingNeeds", needs())
            _, offer = await charger.called(ACCEPTED)
            greedy = plan(offer)["chargingSchedule"] | {
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1, "numberPhases": 3}]
            }
            told = plan(offer, chargingSchedule=greedy)
            answer = await charger.send("NotifyEVChargingSchedule", told)
            assert answer["status"] == "Rejected"
            assert await charger.send("NotifyEVChargingSchedule", plan(offer)) == ACCEPTED
        assert await charger.called(ACCEPTED) == ("SetChargingProfile", offer)


@TWO
async def test_TC_K_58_and_K_59_the_operators_own_profile_is_what_a_plan_is_held_to(
    gateway: Gateway, for_evs: None, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        await plugged_in(charger)
        periods = [{"start_s": 0, "limit": 8}]
        wanted = {"purpose": "tx", "schedules": [{"unit": "A", "periods": periods}]}
        command = {"type": "set_charging_profile", "evse_id": 1, "profile": wanted}
        (call,), _ = await charger.ask(command, ACCEPTED)
        assert await charger.send("NotifyEVChargingSchedule", plan(call[1])) == ACCEPTED
        # K16.FR.12: needs told again after that are answered with a profile again.
        assert await charger.send("NotifyEVChargingNeeds", needs()) == ACCEPTED
        action, _ = await charger.called(ACCEPTED)
        assert action == "SetChargingProfile"


@TWO
async def test_K15_FR_04_without_a_profile_or_a_session_nothing_is_promised(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        nobody = await charger.send("NotifyEVChargingNeeds", needs())
        assert nobody == {"status": "Rejected", "statusInfo": {"reasonCode": "NoTransaction"}}
        plan = {
            "evseId": 1,
            "timeBase": stamp(),
            "chargingSchedule": {
                "id": 1,
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}],
            },
        }
        assert (await charger.send("NotifyEVChargingSchedule", plan))["status"] == "Rejected"
        await plugged_in(charger)
        none = await charger.send("NotifyEVChargingNeeds", needs())
        assert (none["status"], none["statusInfo"]["reasonCode"]) == ("Rejected", "NoProfile")
        # Nothing of ours limits this session, so any plan keeps to it.
        assert await charger.send("NotifyEVChargingSchedule", plan) == ACCEPTED
        assert len(await charger.notified("NotifyEVChargingNeeds")) == 2
        await charger.quiet()


async def test_the_offer_stays_below_what_limits_the_evse(gateway: Gateway, for_evs: None) -> None:
    async with station(gateway, "ocpp2.0.1") as charger:
        await plugged_in(charger)
        periods = [{"start_s": 0, "limit": 5000}]
        most = {"purpose": "station_max", "schedules": [{"unit": "W", "periods": periods}]}
        await charger.ask({"type": "set_charging_profile", "profile": most}, ACCEPTED)
        await charger.send("NotifyEVChargingNeeds", needs())
        _, offer = await charger.called(ACCEPTED)
        (schedule,) = offer["chargingProfile"]["chargingSchedule"]
        assert max(one["limit"] for one in schedule["chargingSchedulePeriod"]) == 7.2  # 5000 / 690


SCHEDULED = {
    "requestedEnergyTransfer": "AC_BPT", "controlMode": "ScheduledControl",
    "v2xChargingParameters": {
        "maxChargePower": 3_680, "maxChargePower_L2": 3_680, "maxChargePower_L3": 3_680,
        "minChargePower": 1_380, "evTargetEnergyRequest": 20_000,
    },
}  # fmt: skip


async def test_K18_and_K20_FR_02_needs_by_15118_20_are_answered_with_a_schedule_too(
    gateway: Gateway, for_evs: None
) -> None:
    async with station(gateway, "ocpp2.1") as charger:
        transaction = await plugged_in(charger)
        told = {"evseId": 1, "chargingNeeds": SCHEDULED, "maxScheduleTuples": 3}
        assert await charger.send("NotifyEVChargingNeeds", told) == ACCEPTED
        action, offer = await charger.called(ACCEPTED)
        profile = offer["chargingProfile"]
        assert (action, profile["transactionId"]) == ("SetChargingProfile", transaction)
        (schedule,) = profile["chargingSchedule"]
        periods = schedule["chargingSchedulePeriod"]
        assert max(one["limit"] for one in periods) == 16.0  # 11,040 W on three phases
        await charger.eventually(
            f"/v1/stations/{charger.id}/charging-profiles", lambda found: found["items"]
        )
        greedy = schedule | {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 17}]}
        for wanted, status in ((schedule, "Accepted"), (greedy, "Rejected")):
            told = plan(offer, chargingSchedule=wanted, selectedChargingScheduleId=schedule["id"])
            assert (await charger.send("NotifyEVChargingSchedule", told))["status"] == status
        assert await charger.called(ACCEPTED) == ("SetChargingProfile", offer)
        # It wants less, sooner or later: the profile keeps its number and place.
        less = SCHEDULED["v2xChargingParameters"] | {"maxChargePower_L3": 0}  # type: ignore[operator]
        told = {"evseId": 1, "chargingNeeds": SCHEDULED | {"v2xChargingParameters": less}}
        assert await charger.send("NotifyEVChargingNeeds", told) == ACCEPTED
        _, again = await charger.called(ACCEPTED)
        assert again["chargingProfile"]["id"] == profile["id"]


@pytest.mark.parametrize("mode", ["ScheduledControl", "DynamicControl"])
async def test_K18_FR_04_and_K19_FR_04_without_an_offer_a_session_by_15118_20_goes_on(
    gateway: Gateway, for_evs: None, mode: str
) -> None:
    async with station(gateway, "ocpp2.1") as charger:
        await plugged_in(charger)
        without = {"requestedEnergyTransfer": "DC", "controlMode": mode}
        figureless = without | {"v2xChargingParameters": {"maxVoltage": 400}}
        for asked, why in ((without, "neither"), (figureless, "neither")):
            told = {"evseId": 1, "chargingNeeds": asked}
            answer = await charger.send("NotifyEVChargingNeeds", told)
            assert answer["status"] == "NoChargingProfile"
            assert why in answer["statusInfo"]["additionalInfo"]
        await charger.quiet()


@pytest.fixture
async def three_for_evs(gateway: Gateway) -> Any:
    """The operator lets EVs choose among three schedules: 8, 12 and 16 kW."""
    schedules = [
        {
            "unit": "W",
            "start_at": "2026-01-01T00:00:00Z",
            "periods": [
                {"start_s": hour * 3600, "limit": limit - hour % 2 * 1000} for hour in range(24)
            ],
        }
        for limit in (8_000, 12_000, 16_000)
    ]
    body = {
        "name": "a choice", "for_evs": True, "kind": "recurring", "recurrency": "daily",
        "purpose": "tx", "schedules": schedules, "stack_level": 3,
    }  # fmt: skip
    async with gateway.service.as_(OPERATOR, *SCOPES) as api:
        made = await api.post("/v1/charging-profiles", json=body)
        assert made.status_code == 201, made.text
        yield
        await api.delete(f"/v1/charging-profiles/{made.json()['id']}")


@pytest.mark.usefixtures("three_for_evs")
@pytest.mark.parametrize(
    ("periods_of_evse", "tuples_max", "most"), [(None, 4, 4), ("3", 12, 3), (None, None, 30)]
)
async def test_K19_FR_02_FR_03_and_07_a_car_in_dynamic_control_is_made_to_follow_one_schedule(
    gateway: Gateway, periods_of_evse: str | None, tuples_max: int | None, most: int
) -> None:
    async with station(gateway, "ocpp2.1") as charger:
        if periods_of_evse:
            await tell_periods(charger, periods_of_evse)
        transaction = await plugged_in(charger)
        mode = {"requestedEnergyTransfer": "AC_three_phase", "controlMode": "DynamicControl"}
        dynamic = SCHEDULED | mode
        told: dict[str, Any] = {"evseId": 1, "chargingNeeds": dynamic}
        if tuples_max:
            told["maxScheduleTuples"] = tuples_max
        assert await charger.send("NotifyEVChargingNeeds", told) == ACCEPTED
        action, offer = await charger.called(ACCEPTED)
        profile = offer["chargingProfile"]
        assert (action, profile["transactionId"]) == ("SetChargingProfile", transaction)
        assert profile["chargingProfilePurpose"] == "TxProfile"
        (schedule,) = profile["chargingSchedule"]  # the first of the three
        limits = [one["limit"] for one in schedule["chargingSchedulePeriod"]]
        assert 1 <= len(limits) <= most
        assert set(limits) <= {7_000.0, 8_000.0}
        await charger.eventually(
            f"/v1/stations/{charger.id}/charging-profiles", lambda found: found["items"]
        )
        # K19.FR.10: what comes back is the schedule that we gave, whatever the car would do.
        follows = plan(offer, selectedChargingScheduleId=schedule["id"])
        assert await charger.send("NotifyEVChargingSchedule", follows) == ACCEPTED
        assert await charger.notified("NotifyEVChargingNeeds") == [told]


@pytest.mark.usefixtures("three_for_evs")
async def test_K20_FR_03_K17_FR_19_a_car_in_dynamic_control_that_leaves_later_is_charged_slower(
    gateway: Gateway,
) -> None:
    async with station(gateway, "ocpp2.1") as charger:
        await plugged_in(charger)
        wants = SCHEDULED["v2xChargingParameters"]
        offered = []
        for hours in (4, 10):
            dynamic = SCHEDULED | {
                "requestedEnergyTransfer": "DC", "controlMode": "DynamicControl",
                "departureTime": stamp(-3600 * hours), "v2xChargingParameters": wants,
            }  # fmt: skip
            told = {"evseId": 1, "chargingNeeds": dynamic}
            assert await charger.send("NotifyEVChargingNeeds", told) == ACCEPTED
            _, offer = await charger.called(ACCEPTED)
            offered.append(offer["chargingProfile"])
        # 20 kWh in four hours, then in ten: the profile keeps its number and place.
        limits = [
            {one["limit"] for one in profile["chargingSchedule"][0]["chargingSchedulePeriod"]}
            for profile in offered
        ]
        assert [len(one) for one in limits] == [1, 1]
        assert limits[0].pop() == pytest.approx(5_000, abs=5)
        assert limits[1].pop() == pytest.approx(2_000, abs=5)
        assert offered[0]["id"] == offered[1]["id"]


async def tell_periods(charger: Station, value: str) -> None:
    about = {
        "component": {"name": "SmartChargingCtrlr"}, "variable": {"name": "PeriodsPerSchedule"},
        "variableAttribute": [{"value": value}],
    }  # fmt: skip
    report = {"requestId": 1, "seqNo": 0, "generatedAt": stamp(), "reportData": [about]}
    assert await charger.send("NotifyReport", report) == {}


@TWO
@pytest.mark.parametrize(
    ("mode", "unit", "most"), [("AC_three_phase", "A", 31.8), ("DC", "W", 22_000.0)]
)
async def test_TC_K_55_and_K_57_and_K_59_a_car_that_names_no_figures_gets_a_schedule(
    gateway: Gateway, for_evs: None, protocol: str, mode: str, unit: str, most: float
) -> None:
    """22 kW are the EVSE's own."""
    async with station(gateway, protocol) as charger:
        await plugged_in(charger)
        told = {
            "evseId": 1, "maxScheduleTuples": 10,
            "chargingNeeds": {"requestedEnergyTransfer": mode},
        }  # fmt: skip
        assert await charger.send("NotifyEVChargingNeeds", told) == ACCEPTED
        action, offer = await charger.called(ACCEPTED)
        assert action == "SetChargingProfile"
        (schedule,) = offer["chargingProfile"]["chargingSchedule"]
        limits = [one["limit"] for one in schedule["chargingSchedulePeriod"]]
        assert (schedule["chargingRateUnit"], max(limits)) == (unit, most)
        await charger.eventually(
            f"/v1/stations/{charger.id}/charging-profiles", lambda found: found["items"]
        )
        twice = [one | {"limit": 2 * one["limit"]} for one in schedule["chargingSchedulePeriod"]]
        greedy = plan(offer, chargingSchedule=schedule | {"chargingSchedulePeriod": twice})
        refused = await charger.send("NotifyEVChargingSchedule", greedy)
        assert refused["status"] == "Rejected"
        assert await charger.called(ACCEPTED) == ("SetChargingProfile", offer)
        assert await charger.send("NotifyEVChargingSchedule", plan(offer)) == ACCEPTED


# --- computing ----------------------------------------------------------------------------------


def test_needs_of_ac_and_dc() -> None:
    three = needs_of(needs(departureTime="2030-01-01T08:00:00Z")["chargingNeeds"])
    assert (three.power_max_w, three.power_min_w, three.energy_wh) == (
        Decimal(11_040), Decimal(4_140), Decimal(20_000),
    )  # fmt: skip
    assert (three.phases, three.departure_at) == (3, AT + timedelta(hours=8))
    one = needs_of(needs(requestedEnergyTransfer="AC_single_phase")["chargingNeeds"])
    assert (one.power_max_w, one.phases) == (Decimal(3_680), 1)
    direct = needs_of({"requestedEnergyTransfer": "DC", "dcChargingParameters": DC})
    assert (direct.power_max_w, direct.energy_wh, direct.phases) == (
        Decimal(80_000), Decimal(40_000), None,
    )  # fmt: skip
    silent = needs_of({"requestedEnergyTransfer": "AC_single_phase"})
    assert (silent.power_max_w, silent.energy_wh, silent.phases) == (Decimal(14_490), None, 1)
    assert needs_of({"requestedEnergyTransfer": "WPT"}).phases is None
    for mode in ("ScheduledControl", "DynamicControl"):
        with pytest.raises(NoOffer):
            needs_of({"requestedEnergyTransfer": "DC", "controlMode": mode})


def test_needs_of_15118_20() -> None:
    three = needs_of(SCHEDULED | {"departureTime": "2030-01-01T08:00:00Z"})
    assert three == Needs(
        Decimal(11_040), Decimal(1_380), Decimal(20_000), 3, AT + timedelta(hours=8)
    )
    volts = {"maxChargeCurrent": 200, "maxVoltage": 400}
    direct = {"requestedEnergyTransfer": "DC_BPT", "v2xChargingParameters": volts}
    assert needs_of(direct) == Needs(Decimal(80_000), Decimal(), None, None, None)


def test_a_car_that_leaves_in_the_morning_is_charged_evenly() -> None:
    wants = Needs(Decimal(11_000), Decimal(1_000), Decimal(16_000), None, AT + timedelta(hours=8))
    profile = ocpp(steps("W", (0, 22_000)))
    (flat,) = offers(wants, profile, [], None, AT, AT, None)
    assert made(flat) == [(0, 2_000)]
    # Half of the time only 1 kW is allowed; the other half makes up for it.
    (uneven,) = offers(
        wants, ocpp(steps("W", (0, 1_000), (14_400, 22_000))), [], None, AT, AT, None
    )
    assert made(uneven) == [(0, 1_000), (14_400, 3_000)]
    # Less than the EV's least power would stop it.
    little = Needs(Decimal(11_000), Decimal(4_140), Decimal(16_000), None, wants.departure_at)
    (least,) = offers(little, profile, [], None, AT, AT, None)
    assert made(least) == [(0, 4_140)]
    # Not enough time: all that is allowed.
    hurry = Needs(Decimal(11_000), Decimal(0), Decimal(16_000), None, AT + timedelta(hours=1))
    (all_of_it,) = offers(hurry, profile, [], 7_000, AT, AT, None)
    assert made(all_of_it) == [(0, 7_000)]


def test_three_schedules_of_the_operator_are_three_offers() -> None:
    wants = Needs(Decimal(11_000), Decimal(0), None, None, None)
    profile = ocpp(*(steps("W", (0, limit)) for limit in (4_000, 8_000, 16_000)))
    found = offers(wants, profile, [], None, AT, AT, None)
    assert [made(one) for one in found] == [[(0, 4_000)], [(0, 8_000)], [(0, 11_000)]]


MOMENT = st.integers(0, 20).map(lambda hours: hours * 3600)
WATTS = st.integers(0, 200).map(lambda hundreds: hundreds * 100.0)


@st.composite
def step_lists(draw: st.DrawFn) -> list[tuple[int, float]]:
    starts = sorted({0, *draw(st.lists(MOMENT, max_size=6))})
    return [(start, draw(WATTS)) for start in starts]


def naive(limits: list[tuple[int, float]], second: int) -> float:
    return [limit for start, limit in limits if start <= second][-1]


@given(
    step_lists(),
    step_lists(),
    st.none() | WATTS,
    WATTS,
    st.integers(0, 100_000),
    st.none() | st.integers(1, 30),
    st.none() | st.integers(1, 5),
    st.sampled_from("AW"),
)
def test_an_offer_keeps_every_limit_and_brings_the_energy_where_it_can(
    basis: list[tuple[int, float]],
    other: list[tuple[int, float]],
    evse_w: float | None,
    ev_w: float,
    energy_wh: int,
    leaves_h: int | None,
    tuples_max: int | None,
    unit: str,
) -> None:
    """Hour by hour against the plainest reading of the limits; one phase, so 230 W an ampere."""
    departure = AT + timedelta(hours=leaves_h) if leaves_h else None
    wants = Needs(Decimal(str(ev_w)), Decimal(0), Decimal(energy_wh), 1, departure)
    watt_an = 230 if unit == "A" else 1
    profile = ocpp(steps(unit, *((start, watts / watt_an) for start, watts in basis)))
    limit = None if evse_w is None else int(evse_w)
    (offer,) = offers(wants, profile, [ocpp(steps("W", *other))], limit, AT, AT, tuples_max)
    found = [(start, watts * watt_an) for start, watts in made(offer)]
    assert found[0][0] == 0
    assert [start for start, _ in found] == sorted({start for start, _ in found})
    assert len(found) <= (tuples_max or 1024)
    energy = possible = 0.0
    for hour in range(max(24, min(leaves_h or 0, 48))):
        second = hour * 3600
        most = [naive(basis, second), naive(other, second), ev_w]
        most += [] if evse_w is None else [evse_w]
        offered = naive(found, second)
        assert offered <= min(most) + 1e-6
        if leaves_h and hour < leaves_h:
            energy += offered
            # What the unit's tenths allow.
            possible += int(min(most) / watt_an * 10 + 1e-9) / 10 * watt_an
    if leaves_h and tuples_max is None:
        assert energy >= min(energy_wh, possible) - 1e-3
        if 0 < energy_wh < possible:
            # Levelled: a tenth less of the highest would not be enough.
            peak = max(naive(found, hour * 3600) for hour in range(leaves_h))
            less = peak - 0.1 * watt_an - 1e-6
            flat = sum(min(naive(found, hour * 3600), less) for hour in range(leaves_h))
            assert flat < energy_wh or peak == 0


@given(step_lists(), step_lists(), st.integers(-10, 10), st.sampled_from("AW"))
def test_a_plan_is_judged_second_by_second(
    offered: list[tuple[int, float]],
    drawn: list[tuple[int, float]],
    later_h: int,
    unit: str,
) -> None:
    """Against hour by hour: everything changes on the hour. The plan is in watts."""
    watt_an = 690 if unit == "A" else 1
    profile = ocpp(steps(unit, *((start, watts / watt_an) for start, watts in offered)))
    base = AT + timedelta(hours=later_h)
    wanted = steps("W", *drawn, id=1)
    plainly = all(
        naive(drawn, hour * 3600) <= naive(offered, (hour + later_h) * 3600) + 1e-6
        for hour in range(48)
        if hour + later_h >= 0
    )
    exactly = keeps_to(wanted, base, profile, AT)
    if unit == "W":
        assert exactly == plainly
    elif exactly:
        assert plainly


def test_a_plan_is_held_to_the_schedule_that_it_says_it_follows() -> None:
    profile = ocpp(steps("W", (0, 1_000)), steps("W", (0, 9_000)) | {"id": 2})
    wanted = steps("W", (0, 5_000))
    assert not keeps_to(wanted, AT, profile, AT)
    assert keeps_to(wanted, AT, profile, AT, selected=2)
    assert keeps_to(wanted | {"id": 2}, AT, profile, AT)
    assert keeps_to(wanted | {"id": 9}, AT, profile, AT)  # of no number: any will do


@pytest.mark.parametrize(
    ("late_s", "kept"), [(2, True), (60, True), (61, False), (-60, True), (-61, False)]
)
def test_TC_K_55_and_K_57_and_K_59_a_plan_may_count_from_when_the_car_was_told(
    late_s: int, kept: bool
) -> None:
    """As offered, but its time base is not the offer's start."""
    wanted = steps("W", (0, 5_000), (3_600, 9_000), (7_200, 4_000))
    base = AT + timedelta(seconds=late_s)
    assert keeps_to(wanted, base, ocpp(wanted), AT) == kept
    greedy = steps("W", (0, 5_000), (3_600, 9_001), (7_200, 4_000))
    assert not keeps_to(greedy, base, ocpp(wanted), AT)


def test_many_periods_become_few_without_taking_long() -> None:
    periods = [(n * 60, Decimal(n % 7 * 100)) for n in range(2880)]
    few = charging_needs._fewer(periods, 2880 * 60, 10)
    assert len(few) == 10
    for start, watts in periods:
        assert [limit for began, limit in few if began <= start][-1] <= watts


def test_a_limit_that_changes_within_a_second_counts_for_all_of_it() -> None:
    wants = Needs(Decimal(11_000), Decimal(0), None, None, None)
    profile = ocpp(steps("W", (0, 9_000)))
    within = (AT + timedelta(seconds=99.5)).isoformat()
    other = ocpp(steps("W", (0, 1_000), (10, 5_000), startSchedule=within))
    (offer,) = offers(wants, profile, [other], None, AT, AT, None)
    assert made(offer) == [(0, 9_000), (99, 1_000), (110, 5_000)]


def test_a_daily_profile_counts_again_each_day() -> None:
    wants = Needs(Decimal(11_000), Decimal(0), None, None, AT + timedelta(hours=40))
    long_ago = (AT - timedelta(days=90, hours=1)).isoformat()
    daily = ocpp(
        steps("W", (0, 2_000), (7_200, 6_000), startSchedule=long_ago, duration=14_400),
        chargingProfileKind="Recurring",
        recurrencyKind="Daily",
    )
    (offer,) = offers(wants, daily, [], None, AT, AT, None)
    day = [(23 * 3600, 2_000), (25 * 3600, 6_000), (27 * 3600, 11_000)]
    assert made(offer) == [(0, 2_000), (3_600, 6_000), (10_800, 11_000), *day]
