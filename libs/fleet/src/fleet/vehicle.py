"""Pure: how much power a car takes.

The curve has the three parts that a back end can see: a ramp of a few seconds, constant power up to
80 % and then a linear fall to a tenth of it when the battery is full. Losses between meter and
battery are left out.
"""

from dataclasses import dataclass

MJ_PER_WH = 3_600_000  # millijoules: watts times milliseconds, so that energy never needs rounding
TAPER_FROM_SOC = 0.8
POWER_WHEN_FULL = 0.1  # of the full power; above zero, or no battery would ever get full
RAMP_MS = 5_000


@dataclass(frozen=True)
class Vehicle:
    """A battery at the moment it is plugged in. `soc` is a fraction of one."""

    capacity_wh: int = 60_000
    soc: float = 0.3
    max_power_w: int = 150_000

    def power_at(self, soc: float) -> int:
        """Watts the car takes at a state of charge, a charger without limit given."""
        if soc >= 1:
            return 0
        if soc <= TAPER_FROM_SOC:
            return self.max_power_w
        fallen = (soc - TAPER_FROM_SOC) / (1 - TAPER_FROM_SOC)
        return max(1, round(self.max_power_w * (1 - fallen * (1 - POWER_WHEN_FULL))))

    def soc_after(self, taken_mj: int) -> float:
        """State of charge, a fraction of one, once this much was taken since it was plugged in."""
        return min(1.0, self.soc + taken_mj / (self.capacity_wh * MJ_PER_WH))

    def room_mj(self, taken_mj: int) -> int:
        """Millijoules that still fit, whole watt-hours when nothing was taken."""
        room_wh = round(self.capacity_wh * (1 - self.soc))
        return max(0, room_wh * MJ_PER_WH - taken_mj)

    def flat_mj(self, taken_mj: int) -> int:
        """Millijoules until the power begins to fall."""
        flat_wh = int(self.capacity_wh * (TAPER_FROM_SOC - self.soc))
        return max(0, flat_wh * MJ_PER_WH - taken_mj)

    @classmethod
    def taking(cls, energy_wh: int) -> "Vehicle":
        """Make a car that takes this much energy before its power falls."""
        return cls(capacity_wh=max(60_000, 2 * energy_wh))


def ramped(power_w: int, elapsed_ms: int) -> int:
    """Watts so long after the contactor closed: a car does not take its full power at once."""
    if elapsed_ms >= RAMP_MS:
        return power_w
    return power_w * (elapsed_ms + 1000) // (RAMP_MS + 1000)
