"""Reasons to look at a session before it is invoiced: from the gateway, or found here."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import and_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from common.events import Incident, IncidentOpened, ReviewState

# pending: somebody must decide before it is booked or invoiced.
Review = ReviewState

_NEW = insert(tables.Incident)
# Each kind once a session. Something else that came to pass after a decision opens it again; what
# is told once more does not.
NEW: Final = _NEW.on_conflict_do_update(
    index_elements=["session_id", "kind"],
    set_={"detail": _NEW.excluded.detail, "opened_at": _NEW.excluded.opened_at, "decided_at": None},
    where=and_(
        tables.Incident.decided_at < _NEW.excluded.opened_at,
        tables.Incident.detail != _NEW.excluded.detail,
    ),
)


class IncidentOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    kind: str
    detail: str
    opened_at: AwareDatetime
    decided_at: AwareDatetime | None = Field(
        default=None, description="when somebody decided about the session; null: it is open"
    )


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


async def reviews_of(db: AsyncSession, session_ids: Iterable[UUID]) -> dict[UUID, Review]:
    """Of each session that is known. What is pending may not be booked yet."""
    session = tables.Session
    query = select(session.id, session.review).where(session.id.in_(session_ids))
    return {row[0]: cast("Review", row[1]) for row in await db.execute(query)}


async def incidents_of(
    db: AsyncSession, session_ids: Collection[UUID]
) -> dict[UUID, list[IncidentOut]]:
    """Of each session, the oldest first."""
    incident = tables.Incident
    query = select(incident).where(incident.session_id.in_(session_ids))
    found: dict[UUID, list[IncidentOut]] = {session_id: [] for session_id in session_ids}
    for row in await db.scalars(query.order_by(incident.opened_at, incident.kind)):
        found[row.session_id].append(IncidentOut.model_validate(row))
    return found
