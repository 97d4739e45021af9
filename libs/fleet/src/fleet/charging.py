"""Pure: one car charging, second by second, by a clock that somebody else turns."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from fleet.vehicle import MJ_PER_WH, RAMP_MS, Vehicle, ramped

MILLISECOND = timedelta(milliseconds=1)
RAMP_STEP = timedelta(seconds=1)
STEP = timedelta(seconds=10)  # the power changes by less than 1 % within it, even while it falls
LONGEST = timedelta(days=7)
FAR_AWAY = timedelta(days=1)  # when nothing is known to change: longer than anybody looks ahead


class NeverEnds(ValueError):
    """The session would not be over within a week."""


@dataclass
class Register:
    """A connector's energy meter. It only ever counts up."""

    mj: int = 0

    @property
    def wh(self) -> int:
        return self.mj // MJ_PER_WH


class Ceiling(NamedTuple):
    """The power that charging profiles leave, and until when nothing changes about that."""

    power_w: int
    until: datetime


@dataclass(frozen=True)
class Sample:
    """What the meter shows at one moment. `context` is OCPP's reading context."""

    at: datetime
    register_wh: int
    power_w: int
    soc_percent: int | None
    context: str


def whole_ms(moment: datetime) -> datetime:
    """Cut what a charger's clock does not show."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass
class Charging:
    """The electrical side of a session. It is over at `end_at`, or when idle if `ends_when_idle`.

    The register counts to `target_wh` exactly, or until the battery is full; then the car is idle.
    `limit_w` is what the charger can; `ceiling` tells what it may at a moment, possibly nothing.
    """

    vehicle: Vehicle
    register: Register
    limit_w: int
    started_at: datetime
    sample_interval_s: int = 60
    target_wh: int | None = None
    end_at: datetime | None = None
    ends_when_idle: bool = False
    ceiling: Callable[[datetime], Ceiling] | None = None
    at: datetime = field(init=False)
    next_sample_at: datetime | None = field(init=False)
    power_w: int = field(init=False, default=0)
    taken_mj: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.started_at = whole_ms(self.started_at)
        self.end_at = whole_ms(self.end_at) if self.end_at else None
        self.at = self.started_at
        self.next_sample_at = None
        self.sample_every(self.sample_interval_s)

    def sample_every(self, interval_s: int) -> None:
        """Change the interval from here on. 0 means no samples."""
        self.sample_interval_s = interval_s
        self.next_sample_at = self.at + timedelta(seconds=interval_s) if interval_s > 0 else None

    @property
    def idle(self) -> bool:
        """The car takes no more energy."""
        return self._room_mj() <= 0

    @property
    def held_back(self) -> bool:
        """The car would take energy and gets none."""
        return self._ceiling().power_w <= 0

    @property
    def over(self) -> bool:
        ended = self.end_at is not None and self.at >= self.end_at
        return ended or (self.ends_when_idle and self.idle)

    def next_at(self) -> datetime:
        """Say when to look again: at the next sample, the end, or the earliest idle moment."""
        moments = [self.at + timedelta(hours=1)]
        if self.next_sample_at:
            moments.append(self.next_sample_at)
        if self.end_at:
            moments.append(self.end_at)
        ceiling = self._ceiling()
        moments.append(ceiling.until)
        if not self.idle and ceiling.power_w > 0:
            full_w = self._full_power_w(ceiling)
            moments.append(self.at + MILLISECOND * (self._room_mj() // full_w + 1))
        return min(moments)

    def advance(self, until: datetime) -> list[Sample]:
        """Charge until then, or until over, and return the periodic samples, oldest first."""
        until = whole_ms(until)
        samples = []
        while self.at < until and not self.over:
            self._step(until)
            if self.next_sample_at and self.at >= self.next_sample_at:
                samples.append(self.sample("Sample.Periodic"))
                self.next_sample_at += timedelta(seconds=self.sample_interval_s)
        return samples

    def sample(self, context: str) -> Sample:
        soc_percent = int(self.vehicle.soc_after(self.taken_mj) * 100)
        return Sample(self.at, self.register.wh, self.power_w, soc_percent, context)

    def forecast(self) -> timedelta:
        """How long the session will take from its start, without a change to anything.

        Raises NeverEnds.
        """
        twin = copy.copy(self)
        twin.register = copy.copy(self.register)
        twin.next_sample_at = None
        twin.advance(self.started_at + LONGEST)
        if not twin.over:
            raise NeverEnds("the session would not be over within a week")
        return twin.at - twin.started_at

    def _ceiling(self) -> Ceiling:
        return self.ceiling(self.at) if self.ceiling else Ceiling(self.limit_w, self.at + FAR_AWAY)

    def _full_power_w(self, ceiling: Ceiling) -> int:
        # Below one, because whole watt-hours of room can outlast the fraction by a rounding.
        soc = min(self.vehicle.soc_after(self.taken_mj), 0.9999)
        return max(1, min(self.limit_w, ceiling.power_w, self.vehicle.power_at(soc)))

    def _room_mj(self) -> int:
        room_mj = self.vehicle.room_mj(self.taken_mj)
        if self.target_wh is not None:
            room_mj = min(room_mj, self.target_wh * MJ_PER_WH - self.register.mj)
        return room_mj

    def _same_power_for(self, elapsed_ms: int, full_w: int) -> timedelta:
        """How long the power stays as it is, near enough."""
        if elapsed_ms < RAMP_MS:
            return RAMP_STEP
        flat_mj = self.vehicle.flat_mj(self.taken_mj)
        return max(STEP, MILLISECOND * (flat_mj // full_w))

    def _step(self, until: datetime) -> None:
        """Go to the next moment at which anything changes, `until` at most."""
        ceiling = self._ceiling()
        room_mj = self._room_mj() if ceiling.power_w > 0 else 0
        full_w = self._full_power_w(ceiling)
        elapsed_ms = (self.at - self.started_at) // MILLISECOND
        bounds = [until, ceiling.until]
        if room_mj > 0:
            bounds.append(self.at + self._same_power_for(elapsed_ms, full_w))
        bounds += [moment for moment in (self.next_sample_at, self.end_at) if moment]
        upto = max(min(bounds), self.at + MILLISECOND)
        if room_mj <= 0:
            self.power_w = 0
            self.at = upto
            return
        self.power_w = ramped(full_w, elapsed_ms)
        energy_mj = self.power_w * ((upto - self.at) // MILLISECOND)
        if energy_mj >= room_mj:
            upto = self.at + MILLISECOND * -(-room_mj // self.power_w)
            energy_mj = room_mj
        self.register.mj += energy_mj
        self.taken_mj += energy_mj
        self.at = upto
