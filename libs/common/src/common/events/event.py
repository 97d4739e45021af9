"""What every event has."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common.clock import now
from common.ids import uuid7

StationId = Annotated[str, Field(description="the charger's id in its OCPP URL; unique")]


class Event(BaseModel):
    """A fact, named in the past tense. Fields may be added with a default, never changed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: ClassVar[str]

    id: UUID = Field(default_factory=uuid7)
    occurred_at: AwareDatetime = Field(default_factory=now)
    # None: it concerns the platform or rows of several operators.
    operator_id: UUID | None = None


class Part(BaseModel):
    """A part of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")
