"""Reasons to look at a session before it is invoiced: from the gateway, or found here."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from common.events import Incident, IncidentOpened

Review = Literal["pending", "none"]

NEW: Final = insert(tables.Incident).on_conflict_do_nothing()


class IncidentOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    kind: str
    detail: str
    opened_at: AwareDatetime


async def open_incidents(
    db: AsyncSession,
    operator_id: UUID | None,
    session_id: UUID,
    incidents: Iterable[Incident],
    opened_at: datetime,
) -> None:
    """Note each kind once a session; the session itself need not be known yet."""
    rows = [
        {
            "operator_id": operator_id,
            "session_id": session_id,
            "kind": incident.kind,
            "detail": incident.detail,
            "opened_at": opened_at,
        }
        for incident in incidents
    ]
    if rows:
        await db.execute(NEW, rows)


async def note_incident(db: AsyncSession, event: IncidentOpened) -> None:
    await open_incidents(
        db, event.operator_id, event.session_id, [event.incident], event.occurred_at
    )
