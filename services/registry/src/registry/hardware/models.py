"""What a station is made of, as it is entered and shown. Pure: models and their rules."""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from common.fields import Body, Line
from registry.fields import CONNECTOR_ID_MAX, EVSE_ID_MAX, EvseCode, bare
from registry.hardware.public_keys import PublicKey

# OCPI 2.2.1, 8.4.5 ConnectorType.
Standard = Literal[
    "CHADEMO", "CHAOJI", "DOMESTIC_A", "DOMESTIC_B", "DOMESTIC_C", "DOMESTIC_D", "DOMESTIC_E",
    "DOMESTIC_F", "DOMESTIC_G", "DOMESTIC_H", "DOMESTIC_I", "DOMESTIC_J", "DOMESTIC_K",
    "DOMESTIC_L", "DOMESTIC_M", "DOMESTIC_N", "DOMESTIC_O", "GBT_AC", "GBT_DC",
    "IEC_60309_2_single_16", "IEC_60309_2_three_16", "IEC_60309_2_three_32",
    "IEC_60309_2_three_64", "IEC_62196_T1", "IEC_62196_T1_COMBO", "IEC_62196_T2",
    "IEC_62196_T2_COMBO", "IEC_62196_T3A", "IEC_62196_T3C", "NEMA_5_20", "NEMA_6_30",
    "NEMA_6_50", "NEMA_10_30", "NEMA_10_50", "NEMA_14_30", "NEMA_14_50",
    "PANTOGRAPH_BOTTOM_UP", "PANTOGRAPH_TOP_DOWN", "TESLA_R", "TESLA_S",
]  # fmt: skip


# OCPI 2.2.1, 8.4.19 PowerType.
PowerType = Literal["AC_1_PHASE", "AC_2_PHASE", "AC_2_PHASE_SPLIT", "AC_3_PHASE", "DC"]


def _repeated(values: Iterable[object]) -> list[object]:
    return [value for value, times in Counter(values).items() if times > 1]


class Connector(Body):
    model_config = ConfigDict(from_attributes=True)

    connector_id: Annotated[int, Field(ge=1, le=CONNECTOR_ID_MAX)] = 1
    standard: Standard = "IEC_62196_T2"
    format: Literal["SOCKET", "CABLE"] = "SOCKET"
    power_type: PowerType = "AC_3_PHASE"
    max_voltage: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="volts; of AC between a phase and neutral"
    )
    max_amperage: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="amperes; of AC of each phase"
    )


class Meter(Body):
    """What calibration law wants known of the meter of an EVSE."""

    serial_number: Line | None = None
    model: Line | None = Field(default=None, description="maker and type")
    public_key: PublicKey | None = Field(
        default=None,
        description="by which its signed readings are verified: SubjectPublicKeyInfo or a point "
        "of a curve, in hexadecimal digits, Base64 or PEM, as it is given to drivers",
    )
    type_examination_certificate: Line | None = Field(
        default=None, description="its number", examples=["DE-18-M-PTB-0001"]
    )
    calibrated_at: date | None = None
    valid_until: date | None = Field(default=None, description="the last day of its calibration")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.calibrated_at and self.valid_until and self.valid_until < self.calibrated_at:
            raise ValueError("valid_until is before calibrated_at")
        return self


class EvseKind(Body):
    """What EVSEs of one model have alike."""

    model_config = ConfigDict(from_attributes=True)

    evse_id: int = Field(ge=1, le=EVSE_ID_MAX, description="OCPP 1.6: the connector number")
    max_power_w: int | None = Field(default=None, ge=1, le=10_000_000)
    phases: Literal[1, 3] | None = Field(default=None, description="null: DC, or not known")
    connectors: list[Connector] = Field(
        default_factory=lambda: [Connector()], min_length=1, max_length=20
    )

    @model_validator(mode="after")
    def _connectors_apart(self) -> Self:
        if again := _repeated(connector.connector_id for connector in self.connectors):
            raise ValueError(f"connector_id {again} is given twice")
        return self


class Evse(EvseKind):
    """Where one car charges at a time."""

    code: EvseCode | None = None
    physical_reference: Annotated[Line, Field(max_length=16)] | None = Field(
        default=None, description="what is written on it"
    )
    floor_level: Annotated[Line, Field(max_length=4)] | None = Field(default=None, examples=["-1"])
    meter: Meter | None = None


E = TypeVar("E", bound=EvseKind)


def _ids_apart(evses: list[E]) -> list[E]:
    if again := _repeated(evse.evse_id for evse in evses):
        raise ValueError(f"evse_id {again} is given twice")
    return evses


def _codes_apart(evses: list[Evse]) -> list[Evse]:
    if again := _repeated(bare(evse.code) for evse in evses if evse.code):
        raise ValueError(f"code {again} is given twice")
    return evses


_Some = Field(min_length=1, max_length=200)
EvseKinds = Annotated[list[EvseKind], _Some, AfterValidator(_ids_apart)]
Evses = Annotated[list[Evse], _Some, AfterValidator(_ids_apart), AfterValidator(_codes_apart)]


def one_evse() -> list[Evse]:
    return [Evse(evse_id=1)]
