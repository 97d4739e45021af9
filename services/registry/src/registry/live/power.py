"""The power and the energy that a charger's readings tell of.

Pure. Measurands, phases and locations as OCPP 1.6 (7.31 to 7.34) and 2.0.1 (3.40, 3.42, 3.63) name
them: what goes to the car is measured at the outlet, which is also what no location means.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from common.events import MeterReport, MeterSample

POWER: Final = "Power.Active.Import"
REGISTER: Final = "Energy.Active.Import.Register"
AT_OUTLET: Final = ("", "Outlet")
# Against neutral or as such; not between phases, which would count everything twice.
PHASES: Final = {"L1": "L1", "L2": "L2", "L3": "L3", "L1-N": "L1", "L2-N": "L2", "L3-N": "L3"}
W: Final = {"": 1, "W": 1, "kW": 1000}
POWER_MAX_W: Final = 10_000_000  # megawatt chargers give less; what is more was misread
REGISTER_MAX_WH: Final = 2**62


@dataclass(frozen=True)
class Reading:
    """The newest that a charger read of an EVSE in a session."""

    operator_id: UUID
    station_id: str
    evse_id: int
    session_id: UUID
    sampled_at: datetime
    power_w: int | None
    register_wh: int | None


def readings(reports: Iterable[MeterReport]) -> list[Reading]:
    """The newest of each EVSE, in the order of station and EVSE."""
    found: dict[tuple[UUID, str, int], Reading] = {}
    for report in reports:
        told = _reading(report)
        if told is None:
            continue
        key = (told.operator_id, told.station_id, told.evse_id)
        found[key] = _newer(found[key], told) if key in found else told
    return [reading for _, reading in sorted(found.items())]


def _newer(one: Reading, other: Reading) -> Reading:
    if one.sampled_at != other.sampled_at:
        return max(one, other, key=lambda reading: reading.sampled_at)
    if one.session_id != other.session_id:
        return max(one, other, key=lambda reading: reading.session_id)
    # Some chargers send each measurand in a message of its own.
    return Reading(
        one.operator_id, one.station_id, one.evse_id, one.session_id, one.sampled_at,
        _most(one.power_w, other.power_w), _most(one.register_wh, other.register_wh),
    )  # fmt: skip


def _most(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _reading(report: MeterReport) -> Reading | None:
    """None: outside of a session, or no reading of these measurands."""
    if report.session_id is None:
        return None
    by_time: dict[datetime, list[MeterSample]] = defaultdict(list)
    for sample in report.samples:
        if sample.measurand in (POWER, REGISTER) and sample.location in AT_OUTLET:
            by_time[sample.sampled_at].append(sample)
    power_w = register_wh = sampled_at = None
    for at in sorted(by_time, reverse=True):
        told_w, told_wh = _power(by_time[at]), _register(by_time[at])
        if told_w is not None or told_wh is not None:
            sampled_at = sampled_at or at
        power_w = told_w if power_w is None else power_w
        register_wh = told_wh if register_wh is None else register_wh
    if sampled_at is None:
        return None
    return Reading(
        report.operator_id, report.station_id, report.evse_id, report.session_id,
        sampled_at, power_w, register_wh,
    )  # fmt: skip


def _power(samples: Sequence[MeterSample]) -> int | None:
    """The whole if it was told, else the sum of the phases."""
    by_phase: dict[str, Decimal] = {}
    for sample in samples:
        phase = PHASES.get(sample.phase, sample.phase)
        if sample.measurand == POWER and sample.unit in W and phase in ("", "L1", "L2", "L3"):
            by_phase[phase] = sample.value * W[sample.unit]
    if not by_phase:
        return None
    power = by_phase[""] if "" in by_phase else sum(by_phase.values(), Decimal())
    return round(power) if 0 <= power <= POWER_MAX_W else None


def _register(samples: Sequence[MeterSample]) -> int | None:
    """Of the whole: registers of phases are of some chargers only, and no session is billed by."""
    for sample in samples:
        if sample.measurand == REGISTER and sample.phase == "" and sample.unit == "Wh":
            return int(sample.value) if 0 <= sample.value <= REGISTER_MAX_WH else None
    return None
