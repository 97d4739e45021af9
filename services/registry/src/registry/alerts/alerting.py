"""Pure: when an alert begins and ends, and when people are told of it.

Time is an argument; lengths are in seconds unless they say otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from common.events import AlertKind, AlertSeverity

State = Literal["open", "acknowledged", "resolved"]
Turn = Literal["raise", "clear", "return", "resolve"]

HOUR: Final = timedelta(hours=1)

# The limits a rule of each kind has, and those that it may have.
LIMITS: Final[dict[AlertKind, frozenset[str]]] = {
    "offline": frozenset({"after_s"}),
    "faulted": frozenset({"after_s"}),
    "unused": frozenset({"days"}),
    "failing": frozenset({"failures", "hours"}),
}
MAY: Final[dict[AlertKind, frozenset[str]]] = {"faulted": frozenset({"error_codes"})}
OF_SOME_KIND: Final = frozenset({"after_s", "error_codes", "days", "failures", "hours"})


def wrong_limits(kind: AlertKind, given: Mapping[str, Any]) -> str | None:
    """What is missing or too much among the limits of a rule of this kind; None: nothing."""
    there = {name for name in OF_SOME_KIND if given.get(name) is not None}
    needed = LIMITS[kind]
    if missing := sorted(needed - there):
        return f"a rule of the kind {kind} needs {' and '.join(missing)}"
    if surplus := sorted(there - needed - MAY.get(kind, frozenset())):
        return f"a rule of the kind {kind} has no {' or '.join(surplus)}"
    return None


def turn(
    *,
    known: bool,
    holds: bool,
    cleared_at: datetime | None,
    clear_after_s: int | None,
    now: datetime,
) -> Turn | None:
    """What becomes of an alert, or of one that is not there yet; None: nothing.

    known: it was raised and is not resolved. holds: what it tells of is so. cleared_at: since when
    it is not. clear_after_s: for how long that must last, so that a station that comes and goes
    is one alert and not a hundred; None: its rule is gone.
    """
    if not known:
        return "raise" if holds else None
    if clear_after_s is None:
        return "resolve"
    if holds:
        return "return" if cleared_at is not None else None
    over_since = now if cleared_at is None else cleared_at
    if now - over_since >= timedelta(seconds=clear_after_s):
        return "resolve"
    return "clear" if cleared_at is None else None


def state(resolved_at: datetime | None, acknowledged_at: datetime | None) -> State:
    if resolved_at is not None:
        return "resolved"
    return "open" if acknowledged_at is None else "acknowledged"


@dataclass(frozen=True)
class Manner:
    """How a rule's people want to be told."""

    severity: AlertSeverity
    bundle_s: float  # what comes to light meanwhile goes into one notice
    notices_per_hour: int
    quiet_from: time | None
    quiet_until: time | None
    time_zone: str


def quiet(begins: time | None, ends: time | None, zone: str, now: datetime) -> bool:
    """Whether now lies in the quiet hours, which may go over midnight; their end is not quiet."""
    if begins is None or ends is None:
        return False
    clock = now.astimezone(ZoneInfo(zone)).time()
    if begins <= ends:
        return begins <= clock < ends
    return clock >= begins or clock < ends


def within_hour(told: Sequence[datetime], now: datetime) -> list[datetime]:
    return [at for at in told if at > now - HOUR]


def may_tell(
    manner: Manner, waiting_since: datetime, told: Sequence[datetime], now: datetime
) -> bool:
    """Whether a notice goes out now of what waits since then.

    told: when notices of this rule went out. What is critical is told in quiet hours too.
    """
    if now - waiting_since < timedelta(seconds=manner.bundle_s):
        return False
    if len(within_hour(told, now)) >= manner.notices_per_hour:
        return False
    asleep = quiet(manner.quiet_from, manner.quiet_until, manner.time_zone, now)
    return manner.severity == "critical" or not asleep
