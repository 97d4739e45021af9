"""Pure: every kind of command by its type, and the shape of a request for one."""

from functools import reduce
from operator import or_
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from csms_gateway.commands.kinds import NEUTRAL, Kind
from csms_gateway.commands.mirrored import MIRRORED

RAW: Final = "ocpp"  # the type of a command that is one OCPP call, exactly as given


class OcppCall(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,50}$", examples=["ReserveNow"])]
    payload: dict[str, Any] = Field(description="sent as it is, members in this order")


class Raw(BaseModel):
    """One OCPP call, exactly as given."""

    model_config = ConfigDict(extra="forbid")

    ocpp: OcppCall


def _type_of(model: type[Kind]) -> str:
    kind: str = model.model_fields["type"].annotation.__args__[0]  # type: ignore[union-attr]
    return kind


KINDS: Final[dict[str, type[Kind]]] = {
    _type_of(model): model for model in (*NEUTRAL, *(model for _, model in MIRRORED.values()))
}


def _which(value: Any) -> str | None:
    if not isinstance(value, dict):
        return getattr(value, "type", RAW)
    kind = value.get("type")
    if "ocpp" in value:
        return RAW
    return kind if isinstance(kind, str) else None


_tagged = (Annotated[model, Tag(kind)] for kind, model in {RAW: Raw, **KINDS}.items())
# mypy cannot see a union made at run time; pydantic and FastAPI can.
CommandIn: Any = Annotated[
    reduce(or_, _tagged),
    Discriminator(
        _which,
        custom_error_type="unknown_command_type",
        custom_error_message=f"give ocpp (one call), or as type one of {', '.join(sorted(KINDS))}",
    ),
]
