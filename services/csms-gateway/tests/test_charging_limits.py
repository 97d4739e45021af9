"""Amperes a phase, and which of several limits counts (OCPP 2.0.1, 3.2 and K01; K15)."""

import time
from decimal import Decimal
from typing import Any

import pytest
from asked_station import SCOPES, Station, station
from charging_schedules import AT, made, ocpp, steps
from gateway_wire import OPERATOR, Gateway, connect_v2, stamp

from csms_gateway import charging_profile_forms
from csms_gateway.charging_needs import Needs, keeps_to, offers

ONE_PHASE = Needs(Decimal(230 * 32), Decimal(230 * 6), None, 1, None)
THREE_PHASES = Needs(Decimal(690 * 32), Decimal(690 * 6), None, 3, None)


def amperes(limit: float, phases: int | None) -> dict[str, Any]:
    schedule = steps("A", (0, limit))
    if phases:
        schedule["chargingSchedulePeriod"][0]["numberPhases"] = phases
    return schedule


@pytest.mark.parametrize("phases", [None, 1, 3])
@pytest.mark.parametrize("unit", ["A", "W"])
def test_a_limit_in_amperes_is_one_of_each_phase_however_many_the_car_uses(
    phases: int | None, unit: str
) -> None:
    """16 A on three phases are 16 A for a car that uses one, not 48 A on that one."""
    profile = ocpp(steps(unit, (0, 99_000 if unit == "W" else 63)))
    (offer,) = offers(ONE_PHASE, profile, [ocpp(amperes(16, phases))], None, AT, AT, None)
    assert made(offer) == [(0, 16 if unit == "A" else 16 * 230)]


def test_the_operators_own_amperes_are_of_each_phase_too() -> None:
    (offer,) = offers(ONE_PHASE, ocpp(amperes(16, 3)), [], None, AT, AT, None)
    assert made(offer) == [(0, 16)]
    (offer,) = offers(THREE_PHASES, ocpp(amperes(16, 3)), [], None, AT, AT, None)
    assert made(offer) == [(0, 16)]


def test_a_plan_with_more_amperes_on_fewer_phases_is_above_the_offer() -> None:
    offered = ocpp(amperes(16, 3))
    assert keeps_to(amperes(16, 1), AT, offered, AT)
    assert not keeps_to(amperes(32, 1), AT, offered, AT)
    assert not keeps_to(amperes(16, 3), AT, ocpp(amperes(16, 1)), AT)


def test_a_plan_of_the_longest_lists_there_are_holds_up_nobody() -> None:
    """A station says both, and every other one of the replica waits meanwhile."""
    daily = steps("W", *((80 * n, 11_000) for n in range(1024)))
    offered = ocpp(daily, chargingProfileKind="Recurring", recurrencyKind="Daily")
    plan = steps("W", *((80 * n + 40, 11_000) for n in range(1024)))
    began_s = time.process_time()
    assert keeps_to(plan, AT, offered, AT)
    assert time.process_time() - began_s < 0.25


def test_of_the_limits_of_one_purpose_the_highest_stack_level_counts() -> None:
    """3.2: between the purposes it is the least; a schedule that is over gives way."""
    basis = ocpp(steps("W", (0, 22_000)))
    car = Needs(Decimal(22_000), Decimal(0), None, None, None)

    def limit(watts: float, level: int, purpose: str, evse_id: int = 0, **how: Any) -> Any:
        name = f"ChargingStation{purpose}"
        return ocpp(
            steps("W", (0, watts), **how), stackLevel=level, chargingProfilePurpose=name,
            evseId=evse_id,
        )  # fmt: skip

    def offered(*others: Any) -> list[tuple[int, float]]:
        (offer,) = offers(car, basis, others, None, AT, AT, None)
        return made(offer)

    always, now_more = limit(7_000, 0, "MaxProfile"), limit(11_000, 1, "MaxProfile", duration=3600)
    assert offered(always, now_more) == offered(now_more, always) == [(0, 11_000), (3600, 7_000)]
    external = limit(9_000, 0, "ExternalConstraints")
    assert offered(always, now_more, external) == [(0, 9_000), (3600, 7_000)]
    of_the_evse = limit(5_000, 0, "ExternalConstraints", 1)
    assert offered(limit(9_000, 3, "ExternalConstraints"), of_the_evse) == [(0, 5_000)]


@pytest.mark.parametrize(
    ("limit", "sent"), [(16.09, 16.0), (0.05, 0.0), (1e20, 1e20), (1e30, 1e30), (1e308, 1e308)]
)
def test_a_limit_is_sent_with_one_digit_and_never_above(limit: float, sent: float) -> None:
    """K01 has no greatest limit; 1e30 is how somebody writes "none"."""
    assert charging_profile_forms.tenth(limit) == sent


FOR_EVS = {
    "name": "for EVs, in amperes",
    "for_evs": True,
    "purpose": "tx",
    "schedules": [{"unit": "W", "periods": [{"start_s": 0, "limit": 22_000}]}],
}
NEEDS = {
    "evseId": 1,
    "chargingNeeds": {
        "requestedEnergyTransfer": "DC",
        "dcChargingParameters": {"evMaxCurrent": 200, "evMaxVoltage": 500},
    },
}


@pytest.fixture
async def for_evs(gateway: Gateway) -> Any:
    async with gateway.service.as_(OPERATOR, *SCOPES) as api:
        made = await api.post("/v1/charging-profiles", json=FOR_EVS)
        assert made.status_code == 201, made.text
        yield
        await api.delete(f"/v1/charging-profiles/{made.json()['id']}")


async def test_limits_from_before_a_station_spoke_2_0_1_still_count(
    gateway: Gateway, for_evs: None
) -> None:
    """A profile survives the new firmware (K01.FR.27); what is stored has 1.6's words."""
    most = {
        "purpose": "station_max",
        "schedules": [{"unit": "W", "periods": [{"start_s": 0, "limit": 5000}]}],
    }
    async with station(gateway, "ocpp1.6") as charger:
        name = charger.id
        await charger.ask({"type": "set_charging_profile", "profile": most}, {"status": "Accepted"})
    async with connect_v2(gateway, name) as socket:
        charger = Station(gateway, name, socket)
        await charger.event(
            "Started", 0, "Authorized", token="GOOD", transaction="tx",
            evse={"id": 1, "connectorId": 1},
        )  # fmt: skip
        assert (await charger.send("NotifyEVChargingNeeds", NEEDS))["status"] == "Accepted"
        _, offer = await charger.called({"status": "Accepted"})
        (schedule,) = offer["chargingProfile"]["chargingSchedule"]
        assert max(one["limit"] for one in schedule["chargingSchedulePeriod"]) == 5000


async def test_K15_FR_07_an_offer_has_no_more_periods_than_the_station_can_take(
    gateway: Gateway, for_evs: None
) -> None:
    periods = [{"start_s": 600 * n, "limit": 5000 + 100 * n} for n in range(20)]
    most = {"purpose": "station_max", "schedules": [{"unit": "W", "periods": periods}]}
    told = {
        "component": {"name": "SmartChargingCtrlr"},
        "variable": {"name": "PeriodsPerSchedule"},
        "variableAttribute": [{"value": "7"}],
    }
    async with station(gateway, "ocpp2.0.1") as charger:
        await charger.send(
            "NotifyReport",
            {"requestId": 1, "generatedAt": stamp(), "seqNo": 0, "reportData": [told]},
        )
        await charger.ask({"type": "set_charging_profile", "profile": most}, {"status": "Accepted"})
        await charger.event(
            "Started", 0, "Authorized", token="GOOD", transaction="tx",
            evse={"id": 1, "connectorId": 1},
        )  # fmt: skip
        for asked, taken in ((None, 7), (5, 5), (12, 7)):
            more = {} if asked is None else {"maxScheduleTuples": asked}
            await charger.send("NotifyEVChargingNeeds", NEEDS | more)
            _, offer = await charger.called({"status": "Accepted"})
            (schedule,) = offer["chargingProfile"]["chargingSchedule"]
            assert len(schedule["chargingSchedulePeriod"]) == taken
