"""A partner fetches its sessions and records, with its own key."""

from datetime import timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy import select

from billing import tables
from billing.outside import RecordOutside, SessionOutside
from common import paging
from common.auth import Caller, scoped
from common.clock import Moment, now
from common.database import Db
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem

router = APIRouter(prefix="/v1/partner", tags=["partner"])

reads = scoped("partner-sessions:read")

# A record's id is made before it is committed. One that appeared behind a cursor would be missed.
SETTLED: Final = timedelta(seconds=10)


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
    found, after = await paging.rows(
        db, query, session.id, limit=limit, cursor=cursor, newest_first=True
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
        UUID | None, Query(description="the id of the last record that is known; then the next")
    ] = None,
    ended_from: Annotated[Moment | None, Query(description="inclusive")] = None,
    ended_to: Annotated[Moment | None, Query(description="exclusive")] = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[RecordOutside]:
    """In the order in which they were closed, each some ten seconds after that."""
    record = tables.Record
    query = select(record).where(record.partner_id == partner, record.closed_at < now() - SETTLED)
    if after is not None:
        query = query.where(record.id > after)
    if ended_from is not None:
        query = query.where(record.ended_at >= ended_from)
    if ended_to is not None:
        query = query.where(record.ended_at < ended_to)
    found, following = await paging.rows(db, query, record.id, limit=limit, cursor=cursor)
    return Page(items=[RecordOutside.model_validate(row) for row in found], next_cursor=following)


@router.get("/records/{record_id}", summary="Read one of one's records", dependencies=[reads])
async def read_partner_record(record_id: UUID, db: Db, partner: Mine) -> RecordOutside:
    row = await db.get(tables.Record, record_id)
    if row is None or row.partner_id != partner:
        raise NotFound("you have no such record")
    return RecordOutside.model_validate(row)
