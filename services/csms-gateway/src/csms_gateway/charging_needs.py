"""Pure: what an EV that tells its needs is offered, and whether its own plan keeps to that.

ISO 15118 by OCPP 2.x (2.0.1, K15 to K17; 2.1, K18 to K20). The offer is the operator's profile,
cut down to what the EVSE, the limits on the station and the EV itself allow. With a departure time
and an amount of energy it is levelled: the least constant power that is enough until then, so that
the grid sees no more than it must. Never less than the EV's least power, which would stop it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import Any, Final, Literal

from csms_gateway import clocks
from csms_gateway.charging_limits import VOLTS, Limit, Profile, Schedule, changes, leading, limit_at
from csms_gateway.commands.charging_profile import ChargingSchedule, SchedulePeriod

PHASES: Final = {"AC_single_phase": 1, "AC_two_phase": 2, "AC_three_phase": 3}
PHASES_MAX: Final = 3
# Of a car that names no figures: the most that a plug gives. AC: 63 A (IEC 61851-1, annex A).
AC_MAX_A: Final = 63
DC_MAX_W: Final = 1_000_000
HORIZON: Final = timedelta(hours=24)  # ISO 15118-2, 8.5.2.13: a schedule without an end covers it
HORIZON_MAX: Final = timedelta(hours=48)
TUPLES_MAX: Final = 1024  # ChargingScheduleType
# A car counts from when it was told, a station in whole seconds: so far apart a step may stand in
# offer and plan (ISO 15118-2, V2G_SECC_Sequence_Timeout). Refused for it, the car is told the same
# again, later still, without end.
STEPS_DIFFER: Final = timedelta(seconds=60)
# Above this, neighbours are joined two by two first: the exact way is quadratic.
EXACT_MAX: Final = 256

Power = tuple[int, Decimal]  # from this second on, watts


@dataclass(frozen=True, slots=True)
class Needs:
    power_max_w: Decimal
    power_min_w: Decimal
    energy_wh: Decimal | None
    phases: int | None  # None: direct current
    departure_at: datetime | None


class NoOffer(Exception):
    """Nothing can be offered to these needs; says why."""


def needs_of(told: dict[str, Any]) -> Needs:
    """told: ChargingNeedsType of 2.0.1 or 2.1. Raises NoOffer.

    A station must tell figures (K15.FR.06), but one that knows none still has a car that waits for
    a schedule, and one within our own limits can be given (K15.FR.03).
    """
    departure_at = clocks.read(told.get("departureTime", ""))
    mode = told["requestedEnergyTransfer"]
    if ac := told.get("acChargingParameters"):
        phases = PHASES.get(mode, 3)
        volts = min(Decimal(VOLTS), _decimal(ac["evMaxVoltage"])) * phases
        return Needs(
            _decimal(ac["evMaxCurrent"]) * volts,
            _decimal(ac["evMinCurrent"]) * volts,
            _decimal(ac["energyAmount"]),
            phases,
            departure_at,
        )
    if dc := told.get("dcChargingParameters"):
        most = _decimal(dc["evMaxCurrent"]) * _decimal(dc["evMaxVoltage"])
        if "evMaxPower" in dc:
            most = min(most, _decimal(dc["evMaxPower"]))
        energy = _decimal(dc["energyAmount"]) if "energyAmount" in dc else None
        return Needs(most, Decimal(), energy, None, departure_at)
    if of_20 := told.get("v2xChargingParameters"):
        return _needs_of_20(of_20, mode, departure_at)
    if is_of_20(told):
        raise NoOffer("neither AC nor DC nor V2X parameters")
    if not mode.startswith("AC"):
        return Needs(Decimal(DC_MAX_W), Decimal(), None, None, departure_at)
    phases = PHASES.get(mode, 3)
    return Needs(Decimal(AC_MAX_A * VOLTS * phases), Decimal(), None, phases, departure_at)


def is_of_20(told: dict[str, Any]) -> bool:
    """Are the needs those of ISO 15118-20? Then Rejected would end the session (2.1, K18.FR.22)."""
    return "controlMode" in told or "v2xChargingParameters" in told


def _needs_of_20(of_20: dict[str, Any], transfer: str, departure_at: datetime | None) -> Needs:
    """of_20: V2XChargingParametersType, which is for cars that only take energy too (K18.FR.06)."""

    def power(name: str) -> Decimal | None:
        # Of all phases; where the others are given as well, of L1 (V2XChargingParametersType).
        given = [of_20[one] for one in (name, f"{name}_L2", f"{name}_L3") if one in of_20]
        return sum(map(_decimal, given), Decimal()) if given else None

    most = power("maxChargePower")
    if most is None:
        try:
            most = _decimal(of_20["maxChargeCurrent"]) * _decimal(of_20["maxVoltage"])
        except KeyError:
            raise NoOffer("neither a power nor a current and a voltage") from None
    wanted = of_20.get("evTargetEnergyRequest")
    return Needs(
        most,
        power("minChargePower") or Decimal(),
        None if wanted is None else _decimal(wanted),
        PHASES.get(transfer, 3) if transfer.startswith("AC") else None,
        departure_at,
    )


def _decimal(value: float) -> Decimal:
    return min(max(Decimal(str(value)), Decimal()), Decimal(10**12))


def offers(
    needs: Needs,
    profile: Profile,
    others: Iterable[Profile],
    evse_power_w: int | None,
    at: datetime,
    session_at: datetime,
    tuples_max: int | None,
) -> list[ChargingSchedule]:
    """One schedule for each of the operator's, at most three, to start at `at`: a whole second.

    profile: the operator's, as OCPP 2.x has it; others: what limits the EVSE besides.
    """
    most = needs.power_max_w
    if evse_power_w is not None:
        most = min(most, Decimal(evse_power_w))
    limits = [(one, schedule) for one in others for schedule in one["chargingSchedule"]]
    return [
        _offer(needs, schedule, [*limits, (profile, schedule)], most, at, session_at,
               min(tuples_max or TUPLES_MAX, TUPLES_MAX))
        for schedule in profile["chargingSchedule"]
    ]  # fmt: skip


def _offer(
    needs: Needs,
    basis: Schedule,
    limits: list[tuple[Profile, Schedule]],
    most_w: Decimal,
    at: datetime,
    session_at: datetime,
    tuples_max: int,
) -> ChargingSchedule:
    departure_s = _seconds(needs.departure_at - at) if needs.departure_at else 0
    horizon_s = _seconds(min(max(timedelta(seconds=departure_s), HORIZON), HORIZON_MAX))
    unit: Literal["A", "W"] = "A" if basis["chargingRateUnit"] == "A" and needs.phases else "W"
    # What one tenth of the unit is: limits have one digit after the point.
    tenth_w = Decimal("0.1") * (VOLTS * (needs.phases or 0) if unit == "A" else 1)
    caps = [
        (start_s, _whole(watts, tenth_w, ROUND_FLOOR))
        for start_s, watts in _caps(limits, most_w, at, horizon_s, session_at, needs.phases or 3)
    ]
    offered = caps
    if needs.energy_wh and departure_s > 0:
        level = _level(caps, needs.energy_wh, min(departure_s, horizon_s))
        if level is not None:
            level = _whole(max(level, needs.power_min_w), tenth_w, ROUND_CEILING)
            offered = [(start_s, min(watts, level)) for start_s, watts in caps]
    periods = _fewer(_joined(offered), horizon_s, tuples_max)
    return ChargingSchedule(
        unit=unit,
        start_at=at,
        duration_s=horizon_s,
        periods=[
            SchedulePeriod(start_s=start_s, limit=float(watts / tenth_w / 10), phases=needs.phases)
            for start_s, watts in periods
        ],
    )


def _seconds(span: timedelta) -> int:
    return max(int(span.total_seconds()), 0)


def _whole(watts: Decimal, tenth_w: Decimal, rounding: str) -> Decimal:
    return (watts / tenth_w).to_integral_value(rounding) * tenth_w


def _caps(
    limits: list[tuple[Profile, Schedule]],
    most_w: Decimal,
    at: datetime,
    horizon_s: int,
    session_at: datetime,
    phases: int,
) -> list[Power]:
    """The least of all that counts, second by whole second where any of them changes."""
    until = at + timedelta(seconds=horizon_s)
    moments = sorted(
        {at}.union(*(changes(*limit, at, until, session_at) for limit in limits))
    )  # fmt: skip
    found: dict[int, Decimal] = {}
    for moment in moments:
        watts = most_w
        for limit in leading(limits, moment, session_at):
            watts = min(watts, max(limit.watts(phases), Decimal()))
        second = _seconds(moment - at)
        fraction = moment - at - timedelta(seconds=second)
        if fraction:
            # It changes within a second, which gets the less of both.
            before = found.get(second, found[max(found)])
            found[second] = min(before, watts)
            second += 1
        found[second] = watts
    return sorted((second, watts) for second, watts in found.items() if second < horizon_s)


def _level(caps: list[Power], energy_wh: Decimal, end_s: int) -> Decimal | None:
    """The least power that, where allowed, makes the energy by then; None: not even all does."""
    pieces = [
        (watts, min(until_s, end_s) - start_s)
        for (start_s, watts), until_s in zip(caps, _ends(caps, end_s), strict=True)
        if start_s < end_s
    ]
    wanted, left_s = energy_wh * 3600, sum(span_s for _, span_s in pieces)
    for watts, span_s in sorted(pieces):
        if watts * left_s >= wanted:
            return wanted / left_s
        wanted -= watts * span_s
        left_s -= span_s
    return None


def _ends(periods: list[Power], end_s: int) -> list[int]:
    return [start_s for start_s, _ in periods[1:]] + [end_s]


def _joined(periods: list[Power]) -> list[Power]:
    found: list[Power] = []
    for start_s, watts in periods:
        if not found or found[-1][1] != watts:
            found.append((start_s, watts))
    return found


def _fewer(periods: list[Power], end_s: int, most: int) -> list[Power]:
    """At most so many, none above what it was; what is lost is as little as it can be each time."""
    while len(periods) > max(most, EXACT_MAX):
        periods = [
            (periods[n][0], min(watts for _, watts in periods[n : n + 2]))
            for n in range(0, len(periods), 2)
        ]
    while len(periods) > max(most, 1):
        ends = _ends(periods, end_s)
        lost = []
        for n, ((start_s, watts), (next_s, next_watts)) in enumerate(pairwise(periods)):
            span_s = next_s - start_s if watts > next_watts else ends[n + 1] - next_s
            lost.append((abs(watts - next_watts) * span_s, n))
        _, n = min(lost)
        joined = (periods[n][0], min(periods[n][1], periods[n + 1][1]))
        periods = [*periods[:n], joined, *periods[n + 2 :]]
    return periods


def keeps_to(
    plan: Schedule,
    time_base: datetime,
    profile: Profile,
    session_at: datetime,
    selected: int | None = None,
) -> bool:
    """Whether an EV's plan stays within a profile it was offered (K15.FR.11 and K15.FR.12).

    The schedule it says it follows, by the plan's id or 2.1's selectedChargingScheduleId; if there
    is none of that number, any.
    """
    number = plan["id"] if selected is None else selected
    schedules = profile["chargingSchedule"]
    chosen = [one for one in schedules if one["id"] == number] or schedules
    drawn: Profile = {"chargingProfileKind": "Relative"}
    until = time_base + HORIZON_MAX
    around = (-STEPS_DIFFER, timedelta(), STEPS_DIFFER)
    for schedule in chosen:
        steps = [time_base, *changes(profile, schedule, time_base, until, session_at)]
        moments = {
            *changes(drawn, plan, time_base, until, time_base),
            *(max(step + span, time_base) for step in steps for span in around),
        }
        if all(
            any(
                _below(
                    limit_at(drawn, plan, moment, time_base),
                    limit_at(profile, schedule, moment + span, session_at),
                )
                for span in around
            )
            for moment in moments
        ):
            return True
    return False


def _below(drawn: Limit | None, allowed: Limit | None) -> bool:
    if drawn is None or allowed is None:
        return True
    if drawn.unit == allowed.unit == "A" and (drawn.phases or 1) > (allowed.phases or PHASES_MAX):
        return False
    if drawn.unit == allowed.unit:
        return drawn.value <= allowed.value
    phases = drawn.phases or allowed.phases or 3
    return drawn.watts(phases) <= allowed.watts(phases)
