"""Pure: what a charging profile of OCPP 2.x allows at a moment, and when that changes.

Source: OCPP 2.0.1, 3.2 and K01.FR.10 to K01.FR.13, K01.FR.30, K01.FR.36, K01.FR.37.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from csms_gateway import clocks

VOLTS: Final = 230  # of a phase, nominal; EN 60038
PHASES: Final = 3  # of a limit in amperes that does not say (ChargingSchedulePeriodType)
RECUR_S: Final = {"Daily": 86_400, "Weekly": 604_800}

Profile = dict[str, Any]
Schedule = dict[str, Any]


class Limit(NamedTuple):
    value: Decimal
    unit: str  # W, or A a phase
    phases: int | None

    def watts(self, phases: int = PHASES) -> Decimal:
        """phases: that the car uses. Amperes are of each, so those of the others are not its."""
        used = min(self.phases or phases, phases)
        return self.value if self.unit == "W" else self.value * VOLTS * used


def _start(profile: Profile, schedule: Schedule, session_at: datetime) -> datetime:
    """A relative one starts with its session; so does one whose start nobody can read."""
    if profile["chargingProfileKind"] == "Relative":
        return session_at
    return clocks.read(schedule.get("startSchedule", "")) or session_at


def _bounds(profile: Profile) -> tuple[datetime | None, datetime | None]:
    return clocks.read(profile.get("validFrom", "")), clocks.read(profile.get("validTo", ""))


def _start_s(period: dict[str, Any]) -> int:
    start_s: int = period["startPeriod"]
    return start_s


def limit_at(
    profile: Profile, schedule: Schedule, at: datetime, session_at: datetime
) -> Limit | None:
    """None: this schedule limits nothing then. session_at: the start of the session."""
    valid_from, valid_to = _bounds(profile)
    if (valid_from and at < valid_from) or (valid_to and at >= valid_to):
        return None
    # In whole microseconds: a station may say numbers that no timedelta holds.
    elapsed_us = (at - _start(profile, schedule, session_at)) // timedelta(microseconds=1)
    if elapsed_us < 0:
        return None
    if recur_s := RECUR_S.get(profile.get("recurrencyKind", "")):
        elapsed_us %= recur_s * 1_000_000
    duration_s = schedule.get("duration")
    if duration_s is not None and elapsed_us >= duration_s * 1_000_000:
        return None
    periods = schedule["chargingSchedulePeriod"]
    after = bisect_right(periods, elapsed_us // 1_000_000, key=_start_s)
    found = periods[after - 1] if after else {}
    if found.get("limit") is None:
        return None
    value = Decimal(str(found["limit"]))
    return Limit(value, schedule["chargingRateUnit"], found.get("numberPhases"))


def leading(
    limits: Iterable[tuple[Profile, Schedule]], at: datetime, session_at: datetime
) -> list[Limit]:
    """What counts of them then: for each purpose (of the station or of an EVSE) the highest stack
    level that has a limit; what is in force is the least of these.
    """
    found: dict[tuple[Any, Any], tuple[int, list[Limit]]] = {}
    for profile, schedule in limits:
        limit = limit_at(profile, schedule, at, session_at)
        if limit is None:
            continue
        place = (profile.get("chargingProfilePurpose"), profile.get("evseId"))
        level = profile.get("stackLevel", 0)
        highest, there = found.get(place, (level, []))
        if level == highest:
            found[place] = (level, [*there, limit])
        elif level > highest:
            found[place] = (level, [limit])
    return [limit for _, there in found.values() for limit in there]


def changes(
    profile: Profile,
    schedule: Schedule,
    since: datetime,
    until: datetime,
    session_at: datetime,
) -> Iterator[datetime]:
    """Every moment between the two at which limit_at may change; some more than once."""
    moments = [one for one in _bounds(profile) if one]
    offsets = [period["startPeriod"] for period in schedule["chargingSchedulePeriod"]]
    if schedule.get("duration") is not None:
        offsets.append(schedule["duration"])
    # Counted from `since`, for what lies beyond may lie beyond what a datetime holds.
    microsecond = timedelta(microseconds=1)
    start_us = (_start(profile, schedule, session_at) - since) // microsecond
    end_us = (until - since) // microsecond
    recur_s = RECUR_S.get(profile.get("recurrencyKind", ""))
    if recur_s is None:
        found = [start_us + offset * 1_000_000 for offset in offsets]
    else:
        round_us = recur_s * 1_000_000
        start_us += max(-start_us // round_us, 0) * round_us
        found = [
            begun + offset * 1_000_000
            for begun in range(start_us, end_us, round_us)
            for offset in [*offsets, 0]
            if offset < recur_s
        ]
    moments += [since + one * microsecond for one in found if 0 < one < end_us]
    return (moment for moment in moments if since < moment < until)
