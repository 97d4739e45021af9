"""Pure: how much energy a session took, and whether that can be true."""

from dataclasses import dataclass
from datetime import datetime

from common.events import Incident

# Above what any car takes: an unknown EVSE may be a megawatt charger for lorries.
POWER_W_DEFAULT = 1_000_000
POWER_MARGIN = 1.25  # meters and clocks are not exact
ENERGY_WH_SLACK = 1_000  # the first and last minute of a short session
ENERGY_WH_MAX = 1_000_000  # 1 MWh: more than any vehicle's battery
SECONDS_PER_HOUR = 3600
ETERNAL_S = 24 * SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Energy:
    """energy_wh is None when it cannot be known: it is never guessed."""

    energy_wh: int | None
    incidents: tuple[Incident, ...]


def energy(
    meter_start_wh: int | None,
    meter_stop_wh: int | None,
    started_at: datetime,
    ended_at: datetime,
    max_power_w: int | None,
) -> Energy:
    if meter_start_wh is None or meter_stop_wh is None:
        return Energy(None, ())
    wh = meter_stop_wh - meter_start_wh
    if wh < 0:
        detail = f"the register went from {meter_start_wh} to {meter_stop_wh} Wh"
        return Energy(None, (Incident(kind="register_backwards", detail=detail),))
    seconds = max((ended_at - started_at).total_seconds(), 0)
    power = (max_power_w or POWER_W_DEFAULT) * POWER_MARGIN
    most = min(int(power * seconds / SECONDS_PER_HOUR) + ENERGY_WH_SLACK, ENERGY_WH_MAX)
    if wh > most:
        detail = f"{wh} Wh in {seconds:.0f} s; at most {most} Wh are possible"
        return Energy(None, (Incident(kind="implausible_energy", detail=detail),))
    if seconds > ETERNAL_S:
        detail = f"the session took {seconds / SECONDS_PER_HOUR:.0f} hours"
        return Energy(wh, (Incident(kind="eternal_session", detail=detail),))
    return Energy(wh, ())
