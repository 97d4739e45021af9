"""The request "send this command to that charger", for services; people use REST.

One of the two request/reply exceptions over NATS. The answer says that the command is stored, not
what the charger said: follow it by its id, or by the events that come of it. No answer within
TIMEOUT_S: ask again with the same idempotency key, which stores nothing twice.
"""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

SUBJECT: Final = "csms.rpc.gateway.command"
TIMEOUT_S: Final = 5.0
DEADLINE_S_MAX: Final = 7 * 86_400


class CommandQuestion(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    operator_id: UUID
    station_id: Annotated[str, Field(max_length=48)]
    command: dict[str, Any] = Field(
        description='as the body of POST /v1/stations/{id}/commands: {"type": "remote_stop", …}'
    )
    idempotency_key: Annotated[str, Field(min_length=1, max_length=80)]
    requested_by: Annotated[str, Field(max_length=80, description="the service, and why")]
    deadline_s: Annotated[int, Field(ge=1, le=DEADLINE_S_MAX)] | None = Field(
        default=None, description="so long it may wait for the station; None: the gateway's own"
    )


class CommandRefused(BaseModel):
    """What REST would have answered as a problem."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str = Field(examples=["urn:openlade:problem:unknown-station"])
    status: int
    detail: str


class CommandAnswer(BaseModel):
    """One of the two is None."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    command_id: UUID | None = None
    state: str | None = Field(default=None, description="of a repeated one, what became of it")
    refused: CommandRefused | None = None
