"""Somebody says that a record is wrong; it is open until staff accept or reject it.

accepted: a decision corrected the record or took it back, of the dispute itself, of a review, or a
correction. rejected: the record counts.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.filters import OfStation
from billing.records import deciding
from billing.records.corrections import require_standing, session_of
from billing.records.deciding import Asked, DecisionOut, Reason, Ruling
from common import idempotency, paging
from common.auth import Caller, scoped
from common.database import Db
from common.fields import Body
from common.idempotency import IdempotencyKeyReused, Key
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem
from common.refusals import refusing

router = APIRouter(prefix="/v1", tags=["disputes"])

reads, writes = scoped("records:read"), scoped("records:write")

KEY: Final = "uq_dispute_operator_id_idempotency_key"

State = Literal["open", "accepted", "rejected"]
RaisedBy = Literal["customer", "staff"]


class DisputeDecided(Problem):
    status = 409
    title = "The dispute is decided"


class DisputeOpen(Problem):
    status = 409
    title = "There is an open dispute about the record"


class DisputeIn(Body):
    raised_by: RaisedBy = Field(description="on whose behalf")
    reason: Reason


class DisputeOut(BaseModel):
    id: UUID
    record_id: UUID
    session_id: UUID
    station_id: str
    state: State
    raised_by: RaisedBy
    reason: str
    opened_by: str
    opened_as: str = Field(description="the role")
    opened_at: AwareDatetime
    decision: DecisionOut | None = Field(description="null: it is open")


@router.post(
    "/records/{record_id}/disputes",
    status_code=201,
    summary="Open a dispute about a record",
    dependencies=[writes],
)
async def open_dispute(
    record_id: UUID, body: DisputeIn, key: Key, db: Db, caller: Caller
) -> DisputeOut:
    """The record counts until the dispute is accepted."""
    session = await deciding.locked(db, await session_of(db, record_id))
    digest = idempotency.digest(f"records/{record_id}/disputes", body)
    dispute = tables.Dispute
    query = select(dispute).where(
        dispute.operator_id == session.operator_id, dispute.idempotency_key == key
    )
    if before := await db.scalar(query):
        idempotency.require_same(digest, before.asked)
        return (await _outs(db, [before]))[0]
    await require_standing(db, session.id, record_id)
    if other := await db.scalar(select(dispute.id).where(dispute.record_id == record_id, _open())):
        raise DisputeOpen("decide that one first", dispute=str(other))
    row = dispute(
        operator_id=session.operator_id,
        station_id=session.station_id,
        session_id=session.id,
        record_id=record_id,
        opened_by=caller.sub,
        opened_as=caller.role,
        idempotency_key=key,
        asked=digest,
        **body.model_dump(),
    )
    db.add(row)
    with refusing({KEY: IdempotencyKeyReused("take a new key for what is not the same request")}):
        await db.flush()
    await db.refresh(row)
    return (await _outs(db, [row]))[0]


@router.get("/disputes", summary="List the disputes, the newest first", dependencies=[reads])
async def list_disputes(
    db: Db,
    caller: Caller,
    state: Annotated[State | None, Query()] = None,
    record_id: UUID | None = None,
    station_id: OfStation = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[DisputeOut]:
    dispute, decision = tables.Dispute, tables.Decision
    equal: dict[Any, Any] = {
        dispute.operator_id: caller.operator_id,
        dispute.record_id: record_id,
        dispute.station_id: station_id,
    }
    query = select(dispute).where(*paging.given(equal))
    if state == "open":
        query = query.where(_open())
    elif state is not None:
        found = decision.verdict == "valid" if state == "rejected" else decision.verdict != "valid"
        query = query.where(exists().where(decision.dispute_id == dispute.id, found))
    rows, after = await paging.rows(
        db, query, dispute.id, limit=limit, cursor=cursor, newest_first=True
    )
    return Page(items=await _outs(db, rows), next_cursor=after)


@router.get("/disputes/{dispute_id}", summary="Read a dispute", dependencies=[reads])
async def read_dispute(dispute_id: UUID, db: Db) -> DisputeOut:
    return (await _outs(db, [await _found(db, dispute_id)]))[0]


@router.post(
    "/disputes/{dispute_id}/decisions",
    status_code=201,
    summary="Accept or reject a dispute",
    dependencies=[writes],
)
async def decide_dispute(
    dispute_id: UUID, body: Ruling, key: Key, db: Db, caller: Caller
) -> DecisionOut:
    """Valid rejects it; corrected and void accept it. It is decided once."""
    dispute = await _found(db, dispute_id)
    session = await deciding.locked(db, dispute.session_id)
    digest = idempotency.digest(f"disputes/{dispute_id}", body)
    asked = Asked("dispute", body, key, digest, dispute_id)
    if before := await deciding.repeated(db, session.operator_id, asked):
        return DecisionOut.model_validate(before)
    query = select(tables.Decision.id).where(tables.Decision.dispute_id == dispute_id)
    if await db.scalar(query) is not None:
        raise DisputeDecided("open another one about the record that counts")
    if body.verdict != "valid":
        await require_standing(db, session.id, dispute.record_id)
    return await deciding.decide(db, caller, session, asked)


async def disputes_of(db: AsyncSession, session_id: UUID) -> list[DisputeOut]:
    """About any record of a session, the oldest first."""
    dispute, record = tables.Dispute, tables.Record
    of_session = select(record.id).where(record.session_id == session_id)
    query = select(dispute).where(dispute.record_id.in_(of_session)).order_by(dispute.id)
    return await _outs(db, (await db.scalars(query)).all())


async def _found(db: AsyncSession, dispute_id: UUID) -> tables.Dispute:
    row = await db.get(tables.Dispute, dispute_id)
    if row is None:
        raise NotFound("there is no such dispute")
    return row


def _open() -> Any:
    return ~exists().where(tables.Decision.dispute_id == tables.Dispute.id)


async def _outs(db: AsyncSession, rows: Sequence[tables.Dispute]) -> list[DisputeOut]:
    decision = tables.Decision
    query = select(decision).where(decision.dispute_id.in_([row.id for row in rows]))
    decisions = {one.dispute_id: one for one in await db.scalars(query)}
    return [_out(row, decisions.get(row.id)) for row in rows]


def _out(row: tables.Dispute, decision: tables.Decision | None) -> DisputeOut:
    state: State = "open"
    if decision is not None:
        state = "rejected" if decision.verdict == "valid" else "accepted"
    same = [name for name in DisputeOut.model_fields if name not in {"state", "decision"}]
    return DisputeOut(
        **{name: getattr(row, name) for name in same},
        state=state,
        decision=DecisionOut.model_validate(decision) if decision else None,
    )
