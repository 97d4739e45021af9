"""What a station is made of, as it is entered and shown. Pure: models and their rules."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from registry.fields import CONNECTOR_ID_MAX, EVSE_ID_MAX, EvseCode

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


def _repeated(values: Iterable[object]) -> list[object]:
    return [value for value, times in Counter(values).items() if times > 1]


class Connector(BaseModel):
    model_config = ConfigDict(extra="forbid", from_attributes=True)

    connector_id: Annotated[int, Field(ge=1, le=CONNECTOR_ID_MAX)] = 1
    standard: Standard = "IEC_62196_T2"
    format: Literal["SOCKET", "CABLE"] = "SOCKET"
    power_type: Literal["AC_1_PHASE", "AC_3_PHASE", "DC"] = "AC_3_PHASE"


class Evse(BaseModel):
    """Where one car charges at a time."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    evse_id: int = Field(ge=1, le=EVSE_ID_MAX, description="OCPP 1.6: the connector number")
    code: EvseCode | None = None
    max_power_w: int | None = Field(default=None, ge=1, le=10_000_000)
    connectors: list[Connector] = Field(
        default_factory=lambda: [Connector()], min_length=1, max_length=20
    )

    @model_validator(mode="after")
    def _connectors_apart(self) -> Self:
        if again := _repeated(connector.connector_id for connector in self.connectors):
            raise ValueError(f"connector_id {again} is given twice")
        return self


def _apart(evses: list[Evse]) -> list[Evse]:
    if again := _repeated(evse.evse_id for evse in evses):
        raise ValueError(f"evse_id {again} is given twice")
    # The separators of a code are only there to be read.
    if again := _repeated(evse.code.replace("*", "") for evse in evses if evse.code):
        raise ValueError(f"code {again} is given twice")
    return evses


Evses = Annotated[list[Evse], Field(min_length=1, max_length=200), AfterValidator(_apart)]


def one_evse() -> list[Evse]:
    return [Evse(evse_id=1)]
