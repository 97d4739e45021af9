"""Pure: how a session went, as prices need it: pieces of time with their energy.

Moments are whole seconds since the session began, rounded half up, so that its length is the one
that is charged. Energy is in Wh.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Final, Literal, NamedTuple, TypeVar

PieceKind = Literal["CHARGING", "PARKING", "RESERVATION"]
# What a charger says of the car (OCPP 2.x ChargingStateEnumType, 1.6 ChargePointStatus).
ChargingState = Literal["charging", "suspended_ev", "suspended_evse", "connected", "idle"]
# In these the car asks for no power. Not suspended_evse: there the station or the grid gives none.
PARKED: Final[frozenset[ChargingState]] = frozenset({"suspended_ev", "idle"})
ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
HALF_A_SECOND: Final = 500_000  # µs
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Course:
    """began_at: of the session, or of the reservation before it; all seconds count from it.

    Between two moments energy runs evenly. What is told with a second holds from it on.
    """

    began_at: datetime
    time_zone: tzinfo
    moments: Sequence[int]  # in order; the first is 0, the last the end
    energies: Sequence[Decimal]  # Wh so far at each of them
    kinds: Sequence[tuple[int, PieceKind]]  # in order; the first from 0
    currents: Sequence[tuple[int, Decimal]] = ()  # A
    # W; before the first it is as the energy says. None: not known at all.
    powers: Sequence[tuple[int, Decimal]] | None = ()
    reservation_expired: bool = False

    @property
    def end_s(self) -> int:
        return self.moments[-1]

    def surely_after(self, at_s: int) -> datetime:
        """Of what was rounded to this second a moment that is not before it, and within one of it.

        What a clock shows there it shows up to its next flip, for those are on whole minutes.
        """
        return self.began_at + timedelta(seconds=at_s, microseconds=HALF_A_SECOND)

    def energy_at(self, at_s: int) -> Decimal:
        """To the Wh where it lies between two moments."""
        index = bisect_right(self.moments, at_s) - 1
        from_s, wh = self.moments[index], self.energies[index]
        if from_s == at_s or index + 1 == len(self.moments):
            return wh
        more = self.energies[index + 1] - wh
        part = more * (at_s - from_s) / (self.moments[index + 1] - from_s)
        return wh + min(more, part.quantize(ONE, rounding=ROUND_HALF_UP))

    def when(self, wh: Decimal) -> int:
        """The second in which so much had been delivered, which is less than all of it."""
        index = bisect_left(self.energies, wh)
        if self.energies[index] == wh or not index:
            return self.moments[index]
        from_s, before = self.moments[index - 1], self.energies[index - 1]
        length_s = self.moments[index] - from_s
        return from_s + int((wh - before) * length_s / (self.energies[index] - before))

    def power_at(self, at_s: int) -> Decimal | None:
        if self.powers is None:
            return None
        if (told := last(self.powers, at_s)) is not None:
            return told
        index = min(bisect_right(self.moments, at_s), len(self.moments) - 1)
        length_s = self.moments[index] - self.moments[index - 1] if index else 0
        if not length_s:
            return None
        return (self.energies[index] - self.energies[index - 1]) * 3600 / length_s


class Reading(NamedTuple):
    """at: the charger's. wh: of its register; any register, only differences count."""

    at: datetime
    wh: Decimal


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a session. energy_wh is what is charged; the readings say only when.

    end: its last moment so far. states: from which moment on the car is in which.
    """

    started_at: datetime
    ended_at: datetime
    time_zone: tzinfo
    energy_wh: int
    meter_start_wh: int | None = None
    readings: Sequence[Reading] = ()
    states: Sequence[tuple[datetime, ChargingState]] = ()
    currents: Sequence[tuple[datetime, Decimal]] = ()  # A, over all phases
    powers: Sequence[tuple[datetime, Decimal]] = ()  # W, over all phases


def seconds(began_at: datetime, at: datetime) -> int:
    """Whole seconds, half up."""
    since = at - began_at
    return since.days * 86_400 + since.seconds + (since.microseconds >= HALF_A_SECOND)


def course(told: Told, *, evenly: bool = False) -> Course:
    """evenly: it does not matter when the energy was taken, so the readings are not looked at.

    Raises ValueError for negative energy or time: those are never priced.

    Readings in any order. One that lies outside of the session, beyond what was delivered or in
    contradiction with more of the others is left out: energy before and after it runs evenly.
    """
    length_s = seconds(told.started_at, told.ended_at)
    if told.energy_wh < 0 or length_s < 0:
        raise ValueError(f"energy and time must not be negative: {told.energy_wh} Wh, {length_s} s")
    if evenly:
        total = Decimal(told.energy_wh)
        kinds = _kinds(told, length_s)
        return Course(told.started_at, told.time_zone, [0, length_s], [ZERO, total], kinds)
    moments, energies = _energies(told, length_s)
    return Course(
        told.started_at,
        told.time_zone,
        moments,
        energies,
        _kinds(told, length_s),
        _since(told.started_at, told.currents),
        _since(told.started_at, told.powers),
    )


def _since(
    began_at: datetime, samples: Sequence[tuple[datetime, Decimal]]
) -> list[tuple[int, Decimal]]:
    return [(seconds(began_at, at), value) for at, value in sorted(samples)]


def _energies(told: Told, length_s: int) -> tuple[list[int], list[Decimal]]:
    """The seconds at which the energy so far is known, both ends always, and Wh at each."""
    total = Decimal(told.energy_wh)
    moments, energies = [0], [ZERO]
    start_wh = told.meter_start_wh
    if start_wh is not None:
        since = [(seconds(told.started_at, at), wh - start_wh) for at, wh in sorted(told.readings)]
        for at_s, wh in _rising([one for one in since if 0 < one[0] < length_s], total):
            if at_s == moments[-1]:
                energies[-1] = wh
            else:
                moments.append(at_s)
                energies.append(wh)
    return [*moments, length_s], [*energies, total]


def _rising(readings: Sequence[tuple[int, Decimal]], total: Decimal) -> list[tuple[int, Decimal]]:
    """As many of them as do not contradict each other: one that is too high contradicts all that
    come after it, and it is left out, not they.
    """
    possible = [one for one in readings if ZERO <= one[1] <= total]
    if all(a[1] <= b[1] for a, b in pairwise(possible)):
        return possible
    # Of each length the lowest end of what rises so far, and what came before each reading there.
    ends: list[Decimal] = []
    places: list[int] = []
    before: list[int | None] = []
    for place, (_, wh) in enumerate(possible):
        length = bisect_right(ends, wh)
        before.append(places[length - 1] if length else None)
        if length == len(ends):
            ends.append(wh)
            places.append(place)
        else:
            ends[length], places[length] = wh, place
    found, at = [], places[-1] if places else None
    while at is not None:
        found.append(possible[at])
        at = before[at]
    return found[::-1]


def _kinds(told: Told, length_s: int) -> list[tuple[int, PieceKind]]:
    """From which second on the car asks for power or not; at first it does."""
    found: list[tuple[int, PieceKind]] = [(0, "CHARGING")]
    for at, state in sorted(told.states):
        kind: PieceKind = "PARKING" if state in PARKED else "CHARGING"
        if found[-1][1] != kind:
            found.append((min(max(seconds(told.started_at, at), 0), length_s), kind))
    return found


def last(known: Sequence[tuple[int, T]], at_s: int) -> T | None:
    """The last that was known at a second; known is in order."""
    index = bisect_right(known, at_s, key=_moment)
    return known[index - 1][1] if index else None


def _moment(known: tuple[int, object]) -> int:
    return known[0]
