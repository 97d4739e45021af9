"""What people changed, as told to identity, which keeps it."""

from typing import Any
from uuid import UUID

from pydantic import AwareDatetime

from common.events.event import Event, Part


class ChangeNote(Part):
    note_id: UUID
    table_name: str
    row_key: dict[str, Any]
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    actor: dict[str, Any]
    at: AwareDatetime


class ChangesNoted(Event):
    """Changes of one operator's rows, or of the platform's own; secrets are masked."""

    subject = "csms.audit.changes_noted.v1"

    service: str
    notes: tuple[ChangeNote, ...]
