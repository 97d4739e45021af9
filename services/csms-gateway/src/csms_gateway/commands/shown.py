"""A command as REST shows it, and by what commands are sought."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy import Select, select

from csms_gateway import masking, tables

State = Literal["queued", "sent", "accepted", "rejected", "failed", "timed_out", "cancelled"]
StationFilter = Annotated[str | None, Query(max_length=48)]
TypeFilter = Annotated[str | None, Query(max_length=64)]

# Passwords are never shown, also while a command that sets one waits.
Hidden = Annotated[dict[str, Any], AfterValidator(masking.hidden)]


class CommandOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    station_id: str
    type: str = Field(description="ocpp: one OCPP call, exactly as given")
    parameters: Hidden
    state: State
    change: int = Field(description="grows with each change of any command")
    requested_by: str
    requested_at: datetime
    deadline_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    calls: list[dict[str, Any]] | None = Field(
        description="action, payload and answer of each OCPP call it became"
    )
    result: dict[str, Any] | None = Field(
        description="the charger's own answer; of several calls {answers}; of an error "
        "{code, description}"
    )
    session_id: UUID | None = Field(description="the session that came of it or was stopped by it")


def filtered(station_id: str | None, state: State | None, kind: str | None) -> Select[Any]:
    query = select(tables.Command)
    for column, value in (
        (tables.Command.station_id, station_id),
        (tables.Command.state, state),
        (tables.Command.type, kind),
    ):
        if value is not None:
            query = query.where(column == value)
    return query
