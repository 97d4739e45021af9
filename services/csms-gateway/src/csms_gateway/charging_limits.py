"""Pure: what a charging profile of OCPP 2.x allows at a moment, and when that changes.

Source: OCPP 2.0.1, 3.2 and K01.FR.10 to K01.FR.13, K01.FR.30, K01.FR.36, K01.FR.37.
"""

from collections.abc import Iterator
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
        """phases: of a limit in amperes that does not say."""
        return self.value if self.unit == "W" else self.value * VOLTS * (self.phases or phases)


def _start(profile: Profile, schedule: Schedule, session_at: datetime) -> datetime:
    """A relative one starts with its session; so does one whose start nobody can read."""
    if profile["chargingProfileKind"] == "Relative":
        return session_at
    return clocks.read(schedule.get("startSchedule", "")) or session_at


def _bounds(profile: Profile) -> tuple[datetime | None, datetime | None]:
    return clocks.read(profile.get("validFrom", "")), clocks.read(profile.get("validTo", ""))


def limit_at(
    profile: Profile, schedule: Schedule, at: datetime, session_at: datetime
) -> Limit | None:
    """None: this schedule limits nothing then. session_at: the start of the session."""
    valid_from, valid_to = _bounds(profile)
    if (valid_from and at < valid_from) or (valid_to and at >= valid_to):
        return None
    elapsed = at - _start(profile, schedule, session_at)
    if elapsed < timedelta():
        return None
    if recur_s := RECUR_S.get(profile.get("recurrencyKind", "")):
        elapsed %= timedelta(seconds=recur_s)
    duration_s = schedule.get("duration")
    if duration_s is not None and elapsed >= timedelta(seconds=duration_s):
        return None
    found = None
    for period in schedule["chargingSchedulePeriod"]:
        if timedelta(seconds=period["startPeriod"]) > elapsed:
            break
        found = period
    if found is None or found.get("limit") is None:
        return None
    value = Decimal(str(found["limit"]))
    return Limit(value, schedule["chargingRateUnit"], found.get("numberPhases"))


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
    start = _start(profile, schedule, session_at)
    recur_s = RECUR_S.get(profile.get("recurrencyKind", ""))
    if recur_s is None:
        moments += [start + timedelta(seconds=offset) for offset in offsets if _sane(offset)]
    else:
        round_ = timedelta(seconds=recur_s)
        start += max((since - start) // round_, 0) * round_
        while start < until:
            moments += [start + timedelta(seconds=one) for one in [*offsets, 0] if one < recur_s]
            start += round_
    return (moment for moment in moments if since < moment < until)


def _sane(offset_s: int) -> bool:
    """Within what a datetime can hold; a limit in a thousand years is none."""
    return 0 <= offset_s < 2**31
