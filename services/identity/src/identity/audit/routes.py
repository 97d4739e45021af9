"""Reading what people changed."""

import json
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import select

from common.auth import Caller, scoped
from common.database import Db
from common.paging import Cursor, Limit, Page, rows
from identity.audit.chain import first_broken
from identity.tables import AuditEntry, AuditPersonal

router = APIRouter(prefix="/v1/audit", tags=["audit"])

reads = scoped("audit:read")
Name = Annotated[str | None, Query(max_length=64, pattern="^[a-z_-]+$")]


class AuditOut(BaseModel):
    seq: int
    note_id: UUID
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
    first_broken: int | None


DONE = {"insert": "added", "update": "changed", "delete": "deleted"}


def _chain(caller: Caller) -> str:
    return str(caller.operator_id or "platform")


@router.get("", summary="Changes, newest first", dependencies=[reads])
async def list_audit(
    db: Db,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    service: Name = None,
    table_name: Name = None,
    action: Name = None,
) -> Page[AuditOut]:
    query = select(AuditEntry).where(AuditEntry.chain == _chain(caller))
    for column, value in (
        (AuditEntry.service, service),
        (AuditEntry.table_name, table_name),
        (AuditEntry.action, action),
    ):
        if value is not None:
            query = query.where(column == value)
    found, onward = await rows(
        db, query, AuditEntry.seq, limit=limit, cursor=cursor, newest_first=True
    )
    ids = [entry.note_id for entry in found]
    kept = await db.scalars(select(AuditPersonal).where(AuditPersonal.note_id.in_(ids)))
    values = {one.note_id: json.loads(one.body) for one in kept}
    return Page(items=[_out(one, values.get(one.note_id, {})) for one in found], next_cursor=onward)


def _out(entry: AuditEntry, values: dict[str, Any]) -> AuditOut:
    return AuditOut(
        seq=entry.seq,
        note_id=entry.note_id,
        at=entry.at,
        what=f"{entry.table_name.replace('_', ' ')} {DONE.get(entry.action, entry.action)}",
        service=entry.service,
        table_name=entry.table_name,
        row_key=entry.row_key,
        action=entry.action,
        actor=entry.actor,
        before=values.get("before"),
        after=values.get("after"),
        entry_hash=entry.entry_hash,
    )


@router.get("/head", summary="The chain's end", dependencies=[reads])
async def read_head(db: Db, caller: Caller) -> Head:
    query = select(AuditEntry).where(AuditEntry.chain == _chain(caller))
    last = (await db.scalars(query.order_by(AuditEntry.seq.desc()).limit(1))).first()
    return Head(seq=last.seq if last else 0, entry_hash=last.entry_hash if last else "")


@router.get("/verification", summary="Whether the chain is intact", dependencies=[reads])
async def verify(db: Db, caller: Caller) -> Verification:
    return Verification(first_broken=await first_broken(db, _chain(caller)))
