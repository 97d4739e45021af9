"""What is told about people's rights over their data (GDPR, Articles 15, 17 and 5.1 e)."""

from typing import Any
from uuid import UUID

from pydantic import Field

from common.events.event import Event, Part


class PersonsCard(Part):
    card_id: UUID
    uid: str = Field(description="upper case, as it was before an erasure")


class PersonalDataRequested(Event):
    """Somebody's data is to be collected. Each service that keeps any answers, with nothing too."""

    subject = "csms.person.data_requested.v1"

    request_id: UUID
    user_id: UUID
    cards: tuple[PersonsCard, ...]


class PersonalDataCollected(Event):
    """A part of what one service keeps of a person; complete when all its parts have come."""

    subject = "csms.person.data_collected.v1"

    request_id: UUID
    service: str
    part: int = Field(ge=0)
    parts: int = Field(ge=1)
    file: str = Field(description="what the rows are: sessions, records, …")
    rows: tuple[dict[str, Any], ...]


class PersonErased(Event):
    """A person is no longer known. What is kept of their sessions loses what names them."""

    subject = "csms.person.erased.v1"

    request_id: UUID
    user_id: UUID
    cards: tuple[PersonsCard, ...]


class ErasureReported(Event):
    """What a service changed for an erasure."""

    subject = "csms.person.erasure_reported.v1"

    request_id: UUID
    service: str
    changed: dict[str, int] = Field(description="rows, by what they are")


class RetentionReported(Event):
    """What a service removed because the operator keeps it no longer."""

    subject = "csms.retention.reported.v1"

    service: str
    changed: dict[str, int] = Field(description="rows, by what they are")
