"""The queue of sessions that somebody must look at before they are booked or invoiced."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.filters import Text
from billing.incidents import IncidentOut, Review, incidents_of
from billing.records import closing, deciding
from billing.records.deciding import Asked, DecisionOut, Ruling
from common import idempotency, paging
from common.auth import Caller, scoped
from common.database import Db
from common.events import IncidentKind
from common.idempotency import Key
from common.paging import Cursor, Limit, Page
from common.problems import NotFound

router = APIRouter(prefix="/v1/reviews", tags=["reviews"])

reads, writes = scoped("records:read"), scoped("records:write")


class ReviewOut(BaseModel):
    session_id: UUID
    state: Review
    station_id: str
    evse_id: int
    id_token: str
    token_status: str
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    meter_start_wh: int | None
    meter_stop_wh: int | None
    energy_wh: int | None = Field(description="as its charger said; null: not known, or it runs")
    tariff_id: UUID | None = Field(description="null: none was valid, so it has no price yet")
    record_id: UUID | None = Field(description="the record that counts; null: none does")
    incidents: list[IncidentOut]
    decisions: list[DecisionOut] = Field(description="the oldest first")


class ReviewsAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    state: Literal["pending", "valid", "corrected", "void"] = "pending"
    kind: IncidentKind | None = Field(default=None, description="has an incident of this kind")
    station_id: Text = None
    limit: Limit = paging.LIMIT_DEFAULT
    cursor: Cursor = None


@router.get("", summary="List what is under review, the oldest first", dependencies=[reads])
async def list_reviews(
    db: Db, caller: Caller, wanted: Annotated[ReviewsAsked, Query()]
) -> Page[ReviewOut]:
    """In the order in which they were opened."""
    session, incident, decision = tables.Session, tables.Incident, tables.Decision
    first = func.min(incident.opened_at).label("opened_at")
    since = select(incident.session_id, first).group_by(incident.session_id)
    if caller.operator_id is not None:  # as the wall does; here, so that the index is used
        since = since.where(incident.operator_id == caller.operator_id)
    if wanted.state == "pending":
        doubted = since.where(incident.decided_at.is_(None)).subquery()
        query = select(session).join(doubted, doubted.c.session_id == session.id)
    else:
        ever = select(decision.session_id).where(decision.verdict == wanted.state)
        if caller.operator_id is not None:
            ever = ever.where(decision.operator_id == caller.operator_id)
        doubted = since.where(incident.session_id.in_(ever)).subquery()
        query = (
            select(session)
            .outerjoin(doubted, doubted.c.session_id == session.id)
            .where(session.id.in_(ever), session.review == wanted.state)
        )
    # What staff corrected by themselves was never doubted.
    opened_at = func.coalesce(doubted.c.opened_at, session.started_at).label("opened_at")
    if wanted.kind is not None:
        of_kind = exists().where(incident.session_id == session.id, incident.kind == wanted.kind)
        query = query.where(of_kind)
    if wanted.station_id is not None:
        query = query.where(session.station_id == wanted.station_id)
    found, after = await paging.sorted_pairs(
        db, query, opened_at, session.id,
        limit=wanted.limit, cursor=wanted.cursor, descending=False,
    )  # fmt: skip
    return Page(items=await _outs(db, [row for row, _ in found]), next_cursor=after)


@router.get("/{session_id}", summary="The review of a session", dependencies=[reads])
async def read_review(session_id: UUID, db: Db) -> ReviewOut:
    """Of one that nobody ever doubted too: its state is none."""
    session = await db.get(tables.Session, session_id)
    if session is None:
        raise NotFound("there is no such session")
    return (await _outs(db, [session]))[0]


@router.post(
    "/{session_id}/decisions",
    status_code=201,
    summary="Say what counts of a session",
    dependencies=[writes],
)
async def decide_review(
    session_id: UUID, body: Ruling, key: Key, db: Db, caller: Caller
) -> DecisionOut:
    """Closes the open incidents. corrected takes back the record that there is, and closes the
    right one; void takes it back. Something new that comes up later opens the review again.
    """
    session = await deciding.locked(db, session_id)
    digest = idempotency.digest(f"reviews/{session_id}", body)
    asked = Asked("review", body, key, digest)
    if before := await deciding.repeated(db, session.operator_id, asked):
        return DecisionOut.model_validate(before)
    return await deciding.decide(db, caller, session, asked)


async def _outs(db: AsyncSession, sessions: list[tables.Session]) -> list[ReviewOut]:
    ids = [session.id for session in sessions]
    incidents = await incidents_of(db, ids)
    decisions = await deciding.decisions_of(db, ids)
    records = await closing.current_records(db, ids)
    same = ReviewOut.model_fields.keys() & vars(tables.Session).keys() - {"state"}
    return [
        ReviewOut.model_validate(
            {name: getattr(session, name) for name in same}
            | {
                "session_id": session.id,
                "state": session.review,
                "record_id": records[session.id].id if session.id in records else None,
                "incidents": incidents[session.id],
                "decisions": decisions[session.id],
            }
        )
        for session in sessions
    ]
