from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.charging import Charging, NeverEnds, Register, Sample
from fleet.vehicle import MJ_PER_WH, Vehicle

START = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)

vehicles = st.builds(
    Vehicle,
    capacity_wh=st.integers(5_000, 120_000),
    soc=st.floats(0, 1),
    max_power_w=st.integers(1_400, 350_000),
)


def charging_of(vehicle: Vehicle, **options: object) -> Charging:
    return Charging(vehicle, Register(7 * MJ_PER_WH), 150_000, START, **options)  # type: ignore[arg-type]


@given(vehicle=vehicles, soc=st.floats(0, 1))
def test_power_is_full_up_to_80_percent_and_falls_to_a_tenth_above(
    vehicle: Vehicle, soc: float
) -> None:
    power_w = vehicle.power_at(soc)
    if soc <= 0.8:
        assert power_w == vehicle.max_power_w
    elif soc < 1:
        assert vehicle.max_power_w * 0.099 <= power_w <= vehicle.max_power_w
        assert vehicle.power_at(min(soc + 0.05, 1)) <= power_w
    else:
        assert power_w == 0


@settings(max_examples=50)
@given(
    vehicle=vehicles,
    turns_ms=st.lists(st.integers(0, 2_000_000), min_size=1, max_size=30),
    interval_s=st.integers(0, 900),
)
def test_the_register_never_counts_down_however_the_clock_is_turned(
    vehicle: Vehicle, turns_ms: list[int], interval_s: int
) -> None:
    charging = charging_of(vehicle, sample_interval_s=interval_s)
    samples: list[Sample] = []
    now, before_mj = START, charging.register.mj
    for turn_ms in turns_ms:
        now += timedelta(milliseconds=turn_ms)
        samples += charging.advance(now)
        assert charging.register.mj >= before_mj
        before_mj = charging.register.mj
    assert [s.register_wh for s in samples] == sorted(s.register_wh for s in samples)
    assert all(earlier.at < later.at for earlier, later in pairwise(samples))
    hours = (now - START) / timedelta(hours=1)
    most_wh = min(vehicle.max_power_w, 150_000) * hours
    assert charging.register.wh - 7 <= min(most_wh, vehicle.capacity_wh) + 1


@settings(max_examples=50)
@given(energy_wh=st.integers(1, 30_000), limit_w=st.integers(1_400, 50_000))
def test_a_session_for_an_amount_of_energy_ends_with_exactly_that(
    energy_wh: int, limit_w: int
) -> None:
    register = Register(123_456_789)
    charging = Charging(
        Vehicle.taking(energy_wh),
        register,
        limit_w,
        START,
        target_wh=register.wh + energy_wh,
        ends_when_idle=True,
    )
    before_wh = register.wh
    took = charging.forecast()
    assert register.wh == before_wh
    charging.advance(START + took * 2)
    assert register.wh - before_wh == energy_wh
    assert abs(charging.at - START - took) < timedelta(seconds=2)
    assert took >= timedelta(hours=energy_wh / limit_w) - timedelta(hours=1 / limit_w)


def test_above_80_percent_the_samples_show_less_and_less_power() -> None:
    charging = charging_of(Vehicle(50_000, 0.5, 50_000), sample_interval_s=60, ends_when_idle=True)
    samples = charging.advance(START + timedelta(hours=5))
    steady = [s.power_w for s in samples if s.soc_percent is not None and s.soc_percent < 79]
    falling = [s.power_w for s in samples if s.soc_percent is not None and s.soc_percent > 80]
    assert set(steady) == {50_000}
    assert len(falling) > 10
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 10_000
    assert charging.register.wh == 7 + 25_000


def test_a_car_does_not_take_its_full_power_at_once() -> None:
    charging = charging_of(Vehicle(max_power_w=11_000), sample_interval_s=1)
    powers_w = [sample.power_w for sample in charging.advance(START + timedelta(seconds=10))]
    assert powers_w == sorted(powers_w)
    assert powers_w[0] < 3_000
    assert powers_w[-1] == 11_000


def test_a_session_that_would_take_longer_than_a_week_is_refused() -> None:
    with pytest.raises(NeverEnds):
        Charging(Vehicle(), Register(), 1, START, ends_when_idle=True).forecast()
