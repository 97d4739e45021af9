"""Pure: a charging profile in words that no version of OCPP decides."""

from itertools import pairwise
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.clock import AnyMoment
from csms_gateway.commands.operation_modes import CHARGING, Bidirectional, why_not


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SchedulePeriod(Bidirectional):
    start_s: int = Field(ge=0, description="from the start of the schedule")
    limit: float | None = Field(
        default=None, allow_inf_nan=False,
        description="in the schedule's unit; watts in all, amperes a phase; needed but where the "
        "operation mode takes none",
    )  # fmt: skip
    phases: int | None = Field(default=None, ge=1, le=3)
    phase_to_use: int | None = Field(default=None, ge=1, le=3, description="OCPP 2.x")

    @model_validator(mode="after")
    def _one_phase_only(self) -> "SchedulePeriod":
        if self.phase_to_use is not None and self.phases != 1:
            raise ValueError("phase_to_use is for one phase")  # 2.0.1, K01.FR.19
        return self

    @model_validator(mode="after")
    def _as_the_mode_asks(self) -> "SchedulePeriod":
        if why := why_not(self.operation_mode or CHARGING, self.__dict__):
            raise ValueError(why)
        return self


class ChargingSchedule(_Part):
    unit: Literal["W", "A"]
    periods: Annotated[list[SchedulePeriod], Field(min_length=1, max_length=1024)]
    start_at: AnyMoment | None = None
    duration_s: int | None = Field(default=None, ge=0)
    min_charging_rate: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_order(self) -> "ChargingSchedule":
        starts = [period.start_s for period in self.periods]
        # 2.0.1, K01.FR.31 and K01.FR.35
        if starts[0] != 0 or any(a >= b for a, b in pairwise(starts)):
            raise ValueError("periods begin at 0 and follow each other")
        # 2.1, Q08.FR.05
        if self.unit != "W" and any(one.freq_watt_curve for one in self.periods):
            raise ValueError("a curve of watts needs the unit W")
        return self


class ProfileBody(_Part):
    """How much power, when (OCPP 1.6, 7.8; 2.0.1, ChargingProfileType)."""

    stack_level: int = Field(default=0, ge=0, le=1000)
    purpose: Literal["station_max", "station_external", "tx_default", "tx"] = "tx_default"
    kind: Literal["absolute", "recurring", "relative", "dynamic"] = Field(
        default="absolute",
        description="dynamic: OCPP 2.1; its one period is changed by update_dynamic_schedule",
    )
    update_interval_s: int | None = Field(
        default=None, ge=0, le=2**31 - 1,
        description="of a dynamic one: how often the station asks for an update",
    )  # fmt: skip
    recurrency: Literal["daily", "weekly"] | None = None
    valid_from: AnyMoment | None = None
    valid_to: AnyMoment | None = None
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

    @model_validator(mode="after")
    def _as_2_1_asks(self) -> "ProfileBody":
        periods = [period for one in self.schedules for period in one.periods]
        if self.kind == "dynamic":
            # K28.FR.01
            if len(periods) != 1:
                raise ValueError("a dynamic profile has one schedule of one period")
            if self.schedules[0].start_at:
                raise ValueError("a dynamic profile starts when it is sent, so it has no start")
        elif self.update_interval_s is not None:
            raise ValueError("update_interval_s is of dynamic profiles")  # K28.FR.04
        # Part 2, table 95
        modes = {period.operation_mode or CHARGING for period in periods}
        if self.purpose not in ("tx_default", "tx") and modes != {CHARGING}:
            raise ValueError(f"a {self.purpose} profile is charging_only")
        return self

    def only_of_2_1(self) -> str | None:
        """What versions before OCPP 2.1 cannot say."""
        if self.kind == "dynamic":
            return "dynamic profiles"
        periods = (period for one in self.schedules for period in one.periods)
        return next(filter(None, (period.only_of_2_1() for period in periods)), None)


class ChargingProfile(ProfileBody):
    id: int | None = Field(
        default=None, ge=0, le=2**31 - 1,
        description="null: that of the one it replaces, else the next free one",
    )  # fmt: skip
    session_id: UUID | None = Field(default=None, description="of a tx profile")
