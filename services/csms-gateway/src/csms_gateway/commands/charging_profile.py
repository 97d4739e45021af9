"""Pure: a charging profile in words that no version of OCPP decides."""

from itertools import pairwise
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SchedulePeriod(_Part):
    start_s: int = Field(ge=0, description="from the start of the schedule")
    limit: float = Field(
        allow_inf_nan=False, description="in the schedule's unit; watts in all, amperes a phase"
    )
    phases: int | None = Field(default=None, ge=1, le=3)
    phase_to_use: int | None = Field(default=None, ge=1, le=3, description="OCPP 2.x")

    @model_validator(mode="after")
    def _one_phase_only(self) -> "SchedulePeriod":
        if self.phase_to_use is not None and self.phases != 1:
            raise ValueError("phase_to_use is for one phase")  # 2.0.1, K01.FR.19
        return self


class ChargingSchedule(_Part):
    unit: Literal["W", "A"]
    periods: Annotated[list[SchedulePeriod], Field(min_length=1, max_length=1024)]
    start_at: AwareDatetime | None = None
    duration_s: int | None = Field(default=None, ge=0)
    min_charging_rate: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_order(self) -> "ChargingSchedule":
        starts = [period.start_s for period in self.periods]
        # 2.0.1, K01.FR.31 and K01.FR.35
        if starts[0] != 0 or any(a >= b for a, b in pairwise(starts)):
            raise ValueError("periods begin at 0 and follow each other")
        return self


class ProfileBody(_Part):
    """How much power, when (OCPP 1.6, 7.8; 2.0.1, ChargingProfileType)."""

    stack_level: int = Field(default=0, ge=0, le=1000)
    purpose: Literal["station_max", "station_external", "tx_default", "tx"] = "tx_default"
    kind: Literal["absolute", "recurring", "relative"] = "absolute"
    recurrency: Literal["daily", "weekly"] | None = None
    valid_from: AwareDatetime | None = None
    valid_to: AwareDatetime | None = None
    # OCPP 1.6 takes one; 2.x three, for ISO 15118.
    schedules: Annotated[list[ChargingSchedule], Field(min_length=1, max_length=3)]

    @model_validator(mode="after")
    def _as_kind_and_purpose_ask(self) -> "ProfileBody":
        if (self.kind == "recurring") != (self.recurrency is not None):
            raise ValueError("recurrency is for recurring profiles, and they need it")
        # 2.0.1, K01.FR.40; an absolute one without a start begins when it is sent.
        if self.kind == "recurring" and not all(one.start_at for one in self.schedules):
            raise ValueError("a recurring profile needs the start of its schedules")
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError("it is valid from before it is valid to")
        # 2.0.1, K01.FR.38 and K01.FR.41
        if self.kind == "relative":
            if self.purpose == "station_max":
                raise ValueError("a station_max profile cannot be relative")
            if any(schedule.start_at for schedule in self.schedules):
                raise ValueError("a relative profile starts with the session, so it has no start")
        return self


class ChargingProfile(ProfileBody):
    id: int | None = Field(
        default=None, ge=0, le=2**31 - 1,
        description="null: that of the one it replaces, else the next free one",
    )  # fmt: skip
    session_id: UUID | None = Field(default=None, description="of a tx profile")
