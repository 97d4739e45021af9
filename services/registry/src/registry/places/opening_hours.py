"""Pure: when a place is open.

Source: OCPI 2.2.1, 8.4: Hours, RegularHours and ExceptionalPeriod.
"""

from datetime import datetime
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, model_validator

from common.clock import Moment
from common.fields import Body

PERIODS_MAX: Final = 100  # of each kind

_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
Begin = Annotated[str, StringConstraints(pattern=f"^{_CLOCK}$"), Field(examples=["08:00"])]
# OCPI has no word for the end of a day; 24:00 is ISO 8601's.
End = Annotated[str, StringConstraints(pattern=f"^(?:{_CLOCK}|24:00)$"), Field(examples=["20:00"])]


class RegularHours(Body):
    """By the clock of the place; until, but not with, its end."""

    weekday: Annotated[int, Field(ge=1, le=7, description="1: Monday")]
    period_begin: Begin
    period_end: End

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.period_begin >= self.period_end:
            raise ValueError(
                "a period ends after it begins; one over midnight is two: until 24:00, and from "
                "00:00 on the next weekday"
            )
        return self


class ExceptionalPeriod(Body):
    period_begin: Moment
    period_end: Moment

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.period_begin >= self.period_end:
            raise ValueError("a period ends after it begins")
        return self


Exceptions = Annotated[list[ExceptionalPeriod], Field(max_length=PERIODS_MAX)]


class Hours(Body):
    twentyfourseven: bool = Field(description="always but for the exceptional closings")
    regular_hours: list[RegularHours] = Field(default=[], max_length=PERIODS_MAX)
    exceptional_openings: Exceptions = Field(default=[])
    exceptional_closings: Exceptions = Field(default=[], description="they count before all else")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.twentyfourseven == bool(self.regular_hours):
            raise ValueError("give regular_hours, or say twentyfourseven: one of both")
        return self


def is_open(hours: Hours, at: datetime, zone: ZoneInfo) -> bool:
    """at: aware. An hour that the clock repeats is open both times, one that it skips never."""
    if _within(hours.exceptional_closings, at):
        return False
    if hours.twentyfourseven or _within(hours.exceptional_openings, at):
        return True
    local = at.astimezone(zone)
    clock = local.strftime("%H:%M")
    return any(
        one.weekday == local.isoweekday() and one.period_begin <= clock < one.period_end
        for one in hours.regular_hours
    )


def _within(periods: list[ExceptionalPeriod], at: datetime) -> bool:
    return any(one.period_begin <= at < one.period_end for one in periods)
