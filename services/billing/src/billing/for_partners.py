"""A partner fetches its sessions and records, with its own key."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy import ColumnElement, CompoundSelect, and_, exists, select, union_all
from sqlalchemy.orm import aliased

from billing import tables
from billing.outside import RecordListed, RecordOutside, SessionOutside
from common import paging
from common.auth import Caller, scoped
from common.clock import Moment, now
from common.database import Db
from common.ids import first_of
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem

router = APIRouter(prefix="/v1/partner", tags=["partner"])

reads = scoped("partner-sessions:read")

# A record's id is made before it is committed. One that appeared behind a cursor would be missed.
SETTLED: Final = timedelta(seconds=10)
NIL: Final = UUID(int=0)  # before every id


class NotAPartner(Problem):
    status = 403
    title = "Only a partner's key may do this"


class PartnerNotActive(Problem):
    status = 403
    title = "The operator has switched this partner off"


async def _partner(db: Db, caller: Caller) -> UUID:
    """Raises NotAPartner, PartnerNotActive."""
    if caller.partner_id is None:
        raise NotAPartner("sign in with a partner's API key")
    row = await db.get(tables.Partner, caller.partner_id)
    if row is not None and not row.active:
        raise PartnerNotActive("ask the operator")
    return caller.partner_id


Mine = Annotated[UUID, Depends(_partner)]


@router.get("/sessions", summary="List one's sessions, the newest first", dependencies=[reads])
async def list_partner_sessions(
    db: Db,
    partner: Mine,
    state: Literal["running", "ended"] | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[SessionOutside]:
    session = tables.Session
    query = select(session).where(session.partner_id == partner)
    if state is not None:
        query = query.where(session.state == state)
    found, after = await paging.sorted_rows(
        db, query, session.started_at, session.id, limit=limit, cursor=cursor
    )
    return Page(items=[SessionOutside.model_validate(row) for row in found], next_cursor=after)


@router.get("/sessions/{session_id}", summary="Read one of one's sessions", dependencies=[reads])
async def read_partner_session(session_id: UUID, db: Db, partner: Mine) -> SessionOutside:
    row = await db.get(tables.Session, session_id)
    if row is None or row.partner_id != partner:
        raise NotFound("you have no such session")
    return SessionOutside.model_validate(row)


@router.get("/records", summary="List one's records, the oldest first", dependencies=[reads])
async def list_partner_records(
    db: Db,
    partner: Mine,
    after: Annotated[
        UUID | None, Query(description="the position of the last record that is known; the next")
    ] = None,
    ended_from: Annotated[Moment | None, Query(description="inclusive")] = None,
    ended_to: Annotated[Moment | None, Query(description="exclusive")] = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[RecordListed]:
    """In the order in which they became final, each some ten seconds after that: when it was
    closed, or when its review was decided. What is under review is not there.
    """
    record = tables.Record
    wanted = [record.partner_id == partner, ~_under_review()]
    if ended_from is not None:
        wanted.append(record.ended_at >= ended_from)
    if ended_to is not None:
        wanted.append(record.ended_at < ended_to)
    known = max(after or NIL, NIL if cursor is None else paging.decode(cursor, UUID))
    listed = _positions(wanted, known, limit + 1).subquery()
    query = select(record, listed.c.position).join(listed, listed.c.record_id == record.id)
    found = (await db.execute(query.order_by(listed.c.position).limit(limit + 1))).all()
    items = [
        RecordListed(**RecordOutside.model_validate(row).model_dump(), position=position)
        for row, position in found[:limit]
    ]
    following = paging.encode(items[-1].position) if len(found) > limit else None
    return Page(items=items, next_cursor=following)


@router.get("/records/{record_id}", summary="Read one of one's records", dependencies=[reads])
async def read_partner_record(record_id: UUID, db: Db, partner: Mine) -> RecordOutside:
    row = await db.get(tables.Record, record_id)
    if row is None or row.partner_id != partner:
        raise NotFound("you have no such record")
    if await db.scalar(select(_under_review()).where(tables.Record.id == record_id)):
        raise NotFound("the record is under review; it is there once that is decided")
    return RecordOutside.model_validate(row)


def _under_review() -> ColumnElement[bool]:
    """Whether somebody may yet decide about a record: about what was taken back nobody does."""
    record, back = tables.Record, aliased(tables.Record)
    taken_back = exists().where(back.refers_to == record.id, back.kind == "cancellation")
    return and_(record.review == "pending", record.kind != "cancellation", ~taken_back)


def _positions(
    wanted: Sequence[ColumnElement[bool]], known: UUID, limit: int
) -> CompoundSelect[tuple[UUID, UUID]]:
    """Each record once: where it was closed, or where the last review of it was decided.

    What is decided must come behind the cursor of whoever read on meanwhile. Positions are of the
    moment at which they were made, and so is what is settled: by any other clock one of two that
    were made together would be passed before it is shown.
    """
    record, decision, later = tables.Record, tables.Decision, aliased(tables.Decision)
    settled = first_of(now() - SETTLED)
    reviewed = exists().where(
        decision.session_id == record.session_id,  # by the index
        decision.record_id == record.id,
        decision.about == "review",
    )
    again = exists().where(
        later.session_id == decision.session_id,
        later.record_id == decision.record_id,
        later.about == "review",
        later.id > decision.id,
    )
    closed = (
        select(record.id.label("position"), record.id.label("record_id"))
        .where(*wanted, record.id > known, record.id < settled, ~reviewed)
        .order_by(record.id)
        .limit(limit)
    )
    decided = (
        select(decision.id, record.id)
        .join(record, record.id == decision.record_id)
        .where(*wanted, decision.id > known, decision.id < settled)
        .where(decision.about == "review", ~again)
        .order_by(decision.id)
        .limit(limit)
    )
    # Each by itself in its order and no longer than a page, so that an index serves it.
    ends = [one.subquery() for one in (closed, decided)]
    return union_all(*(select(one) for one in ends))
