"""Pure: how a car follows a period of a charging profile, and what that is told (OCPP 2.1).

Source: OCPP 2.1 Part 2, 3.4, V2X 2.1 and 2.2 with its table of limits and setpoints, Q03.FR.02,
Q08.FR.01 to 05, Q09.FR.05 and Q10.FR.01. Where the table allows limits beside a central setpoint
and Q03.FR.02 forbids them, the requirement counts: they can be sent raw.
"""

from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

OperationMode = Literal[
    "charging_only", "central_setpoint", "external_setpoint", "external_limits",
    "central_frequency", "local_frequency", "local_load_balancing", "idle",
]  # fmt: skip
CHARGING: Final = "charging_only"  # also where nothing is said
PHASES: Final = ("_l2", "_l3")
POWERS: Final = ("limit", "discharge_limit", "setpoint", "setpoint_reactive")
CURVES: Final = ("v2x_baseline", "freq_watt_curve", "signal_watt_curve")


class Takes(NamedTuple):
    needs: tuple[str, ...] = ()
    may_have: tuple[str, ...] = ()


TAKES: Final[dict[str, Takes]] = {
    CHARGING: Takes(needs=("limit",)),
    "central_setpoint": Takes(needs=("setpoint",), may_have=("setpoint_reactive",)),
    # What an external system sets is not ours to say.
    "external_setpoint": Takes(may_have=("limit", "discharge_limit")),
    "external_limits": Takes(),
    "central_frequency": Takes(needs=("setpoint",), may_have=("limit", "discharge_limit")),
    "local_frequency": Takes(
        needs=("v2x_baseline", "freq_watt_curve"), may_have=("signal_watt_curve",)
    ),
    "local_load_balancing": Takes(may_have=("limit", "discharge_limit")),
    "idle": Takes(may_have=("evse_sleep",)),
}

Power = Annotated[float, Field(allow_inf_nan=False)]
Discharge = Annotated[float, Field(le=0, allow_inf_nan=False)]


class _Point(BaseModel):
    model_config = ConfigDict(extra="forbid")

    power_w: Power


class FrequencyPoint(_Point):
    frequency_hz: Power


class SignalPoint(_Point):
    signal: int = Field(ge=-(2**31), lt=2**31)


class Bidirectional(BaseModel):
    """What OCPP 2.1 has beside a limit; versions before it are refused what is said here."""

    model_config = ConfigDict(extra="forbid")

    operation_mode: OperationMode | None = Field(
        default=None, description="OCPP 2.1; null: charging_only, which needs a limit"
    )
    limit_l2: Power | None = Field(default=None, description="OCPP 2.1; then limit is of L1")
    limit_l3: Power | None = None
    discharge_limit: Discharge | None = Field(
        default=None, description="OCPP 2.1; how much an EV may give back, so zero or less"
    )
    discharge_limit_l2: Discharge | None = None
    discharge_limit_l3: Discharge | None = None
    setpoint: Power | None = Field(
        default=None, description="OCPP 2.1; to be followed closely, negative: give back"
    )
    setpoint_l2: Power | None = None
    setpoint_l3: Power | None = None
    setpoint_reactive: Power | None = Field(
        default=None, description="OCPP 2.1; positive: inductive"
    )
    setpoint_reactive_l2: Power | None = None
    setpoint_reactive_l3: Power | None = None
    preconditioning: bool | None = Field(
        default=None, description="OCPP 2.1; keep the battery conditioned meanwhile"
    )
    evse_sleep: bool | None = Field(default=None, description="OCPP 2.1; of idle")
    v2x_baseline: Power | None = Field(default=None, description="OCPP 2.1; of local_frequency")
    freq_watt_curve: Annotated[list[FrequencyPoint], Field(min_length=2, max_length=20)] | None = (
        Field(default=None, description="OCPP 2.1; of local_frequency, added to v2x_baseline")
    )
    signal_watt_curve: Annotated[list[SignalPoint], Field(min_length=1, max_length=20)] | None = (
        Field(default=None, description="OCPP 2.1; by it the command afrr_signal is followed")
    )

    def only_of_2_1(self) -> str | None:
        """A member that versions before OCPP 2.1 cannot say."""
        said = (name for name in Bidirectional.model_fields if getattr(self, name) is not None)
        return next(said, None)


def why_not(mode: str, given: dict[str, Any]) -> str | None:
    """What is wrong with the members of a period in this mode; None: nothing."""
    takes = TAKES[mode]
    for name in takes.needs:
        if given.get(name) is None:
            return f"{name} is needed in the mode {mode}"
    allowed = takes.needs + takes.may_have
    for name in (*POWERS, *CURVES, "evse_sleep"):
        phases = [name + phase for phase in PHASES] if name in POWERS else []
        said = [one for one in (name, *phases) if given.get(one) is not None]
        if said and name not in allowed:
            return f"{said[0]} is not for the mode {mode}"
        if said and given.get(name) is None:
            return f"{said[0]} needs {name}, which is then of the first phase"
    return None
