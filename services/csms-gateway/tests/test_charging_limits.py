"""Amperes a phase, and which of several limits counts (OCPP 2.0.1, 3.2 and K01; K15)."""

from decimal import Decimal
from typing import Any

import pytest
from charging_schedules import AT, made, ocpp, steps

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
