"""Reading what people changed."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import Select, select

from common.auth import Caller, Principal, scoped
from common.clock import Moment
from common.database import Connections, Db, OutsideYourLocations
from common.paging import Cursor, Limit, Page, rows
from identity.audit.chain import BATCH, verified
from identity.tables import AuditEntry, AuditPersonal

router = APIRouter(prefix="/v1/audit", tags=["audit"])

reads = scoped("audit:read")
Name = Annotated[str | None, Query(max_length=64, pattern="^[a-z_-]+$")]


Since = Annotated[Moment | None, Query(description="from this moment on")]
Until = Annotated[Moment | None, Query(description="before this moment")]


class AuditOut(BaseModel):
    id: UUID
    seq: int
    at: datetime
    what: str
    service: str
    table_name: str
    row_key: dict[str, Any]
    action: str
    actor: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    entry_hash: str


class Head(BaseModel):
    """To be noted elsewhere: who cuts the chain's end cannot change that."""

    seq: int
    entry_hash: str


class Verification(BaseModel):
    verified_to: int = Field(description="the chain is whole up to this number")
    first_broken: int | None = Field(description="null: nothing was found")
    complete: bool = Field(description="false: go on with after = verified_to")


DONE = {
    "insert": "added", "update": "changed", "delete": "deleted", "lockout": "locked",
    "refused": "refused",
}  # fmt: skip
OF_SIGN_INS = {"insert": "signed in", "update": "sign-in changed or ended"}
FILE_BATCH = 1000
NDJSON = "application/x-ndjson"


def _chain(caller: Principal) -> str:
    """Raises OutsideYourLocations: a change is of no location that could be looked at."""
    if caller.locations is not None:
        raise OutsideYourLocations("the log is of the whole operator")
    return str(caller.operator_id or "platform")


def _of(caller: Principal, since: datetime | None, until: datetime | None) -> Select[Any]:
    query = select(AuditEntry).where(AuditEntry.chain == _chain(caller))
    if since is not None:
        query = query.where(AuditEntry.at >= since)
    if until is not None:
        query = query.where(AuditEntry.at < until)
    return query


@router.get("", summary="Changes, newest first", dependencies=[reads])
async def list_audit(
    db: Db,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    service: Name = None,
    table_name: Name = None,
    action: Name = None,
    key: Annotated[UUID | None, Query(description="the id of what was changed")] = None,
    actor: Annotated[UUID | None, Query(description="the login or API key that did it")] = None,
    since: Since = None,
    until: Until = None,
) -> Page[AuditOut]:
    query = _of(caller, since, until)
    for column, value in (
        (AuditEntry.service, service),
        (AuditEntry.table_name, table_name),
        (AuditEntry.action, action),
    ):
        if value is not None:
            query = query.where(column == value)
    if key is not None:
        query = query.where(AuditEntry.row_key == {"id": str(key)})
    if actor is not None:
        query = query.where(AuditEntry.actor["sub"].astext == str(actor))
    found, onward = await rows(
        db, query, AuditEntry.seq, limit=limit, cursor=cursor, newest_first=True
    )
    ids = [entry.note_id for entry in found]
    kept = await db.scalars(select(AuditPersonal).where(AuditPersonal.note_id.in_(ids)))
    values = {one.note_id: json.loads(one.body) for one in kept}
    return Page(items=[_out(one, values.get(one.note_id, {})) for one in found], next_cursor=onward)


def _what(table_name: str, action: str) -> str:
    if table_name == "sign_in" and action in OF_SIGN_INS:
        return OF_SIGN_INS[action]
    return f"{table_name.replace('_', ' ')} {DONE.get(action, action)}"


def _out(entry: AuditEntry, values: dict[str, Any]) -> AuditOut:
    return AuditOut(
        seq=entry.seq,
        id=entry.note_id,
        at=entry.at,
        what=_what(entry.table_name, entry.action),
        service=entry.service,
        table_name=entry.table_name,
        row_key=entry.row_key,
        action=entry.action,
        actor=entry.actor,
        before=values.get("before"),
        after=values.get("after"),
        entry_hash=entry.entry_hash,
    )


@router.get(
    "/export",
    summary="Changes as a file of JSON lines, oldest first",
    response_class=StreamingResponse,
    responses={200: {"description": "A line an entry", "content": {NDJSON: {}}}},
    dependencies=[reads],
)
async def export_audit(
    request: Request, caller: Caller, since: Since = None, until: Until = None
) -> StreamingResponse:
    """Each line is an entry as the list has it, with its number in the chain and its hash."""
    headers = {
        "Content-Disposition": 'attachment; filename="audit.ndjson"',
        "Cache-Control": "no-store",
    }
    lines = _lines(request.app.state.connections, caller, _of(caller, since, until))
    return StreamingResponse(lines, media_type=NDJSON, headers=headers)


async def _lines(
    connections: Connections, caller: Principal, query: Select[Any]
) -> AsyncIterator[bytes]:
    """By a cursor, so that a log of any length takes the memory of a batch."""
    with_values = (
        query.add_columns(AuditPersonal.body)
        .outerjoin(AuditPersonal, AuditPersonal.note_id == AuditEntry.note_id)
        .order_by(AuditEntry.seq)
        .execution_options(yield_per=FILE_BATCH)
    )
    # Not the request's transaction: that ends before the answer is sent.
    async with connections.acting(caller) as db:
        found = await db.stream(with_values)
        async for batch in found.partitions():
            outs = [_out(entry, json.loads(body) if body else {}) for entry, body in batch]
            yield "".join(one.model_dump_json() + "\n" for one in outs).encode()


@router.get("/head", summary="The chain's end", dependencies=[reads])
async def read_head(db: Db, caller: Caller) -> Head:
    query = select(AuditEntry).where(AuditEntry.chain == _chain(caller))
    last = (await db.scalars(query.order_by(AuditEntry.seq.desc()).limit(1))).first()
    return Head(seq=last.seq if last else 0, entry_hash=last.entry_hash if last else "")


@router.get("/verification", summary="Whether the chain is intact", dependencies=[reads])
async def verify(
    db: Db, caller: Caller, after: Annotated[int, Query(ge=0, lt=2**63)] = 0
) -> Verification:
    """Some thousand entries at a time, behind one that was verified before."""
    reached, broken = await verified(db, _chain(caller), after, BATCH)
    whole = broken is not None or reached < after + BATCH
    return Verification(verified_to=reached, first_broken=broken, complete=whole)
