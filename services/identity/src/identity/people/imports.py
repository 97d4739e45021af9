"""Imports of people and cards: a file is shown first, then applied exactly as it was shown."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select

from common import imports
from common.auth import Caller, Principal
from common.clock import now
from common.database import PLATFORM, Connections, Db
from common.ids import uuid7
from common.paging import Cursor, Limit, Page, rows
from common.problems import NotFound, Problem
from common.sheets import Unreadable
from identity.people import (
    cards,
    import_apply,
    import_known,
    import_plan,
    import_rows,
    import_store,
    users,
)
from identity.people.import_state import Known
from identity.tables import PeopleImport, PeopleImportRow

router = APIRouter(prefix="/v1/imports", tags=["imports"])

reads = [users.reads, cards.reads]
writes = [users.writes, cards.writes]

KEPT: Final = timedelta(days=7)
Outcome = Literal["bad", "make", "change", "deactivate"]


class ImportApplied(Problem):
    status = 409
    title = "This import was applied already"


class BadRows(Problem):
    status = 409
    title = "The file has bad rows"


class Counts(BaseModel):
    rows: dict[str, int] = Field(description="bad, make, change, unchanged, deactivate")
    users: dict[str, int] = Field(description="make, change, deactivate")
    cards: dict[str, int] = Field(description="make, change, deactivate")


class ImportOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    state: Literal["shown", "applied"]
    mode: Literal["add", "full"]
    encoding: str = Field(description="utf-8, utf-16, cp1252 or latin-1 as found; or xlsx")
    separator: str | None = Field(description="as found; null: a spreadsheet")
    columns: list[str]
    counts: Counts
    made_by: str
    made_at: datetime
    applied_at: datetime | None


class Difference(BaseModel):
    before: Any
    after: Any


class ChangeOut(BaseModel):
    action: Literal["make", "change", "deactivate"]
    id: UUID
    fields: dict[str, Difference]


class FaultOut(BaseModel):
    column: str | None = Field(description="null: the whole row")
    value: str
    why: str


class ImportRowOut(BaseModel):
    id: UUID
    line: int | None = Field(description="in the file, from 1; null: missing from a full file")
    outcome: Outcome
    external_id: str | None
    uid: str | None
    user: ChangeOut | None
    card: ChangeOut | None
    faults: list[FaultOut]


@router.post(
    "/people",
    status_code=201,
    summary="Show what a file of people and cards would do",
    dependencies=writes,
    openapi_extra=imports.BODY,
)
async def show_import(
    request: Request,
    caller: Caller,
    mode: Annotated[
        Literal["add", "full"],
        Query(
            description="full: whoever has an external id and is not in the file is switched off"
        ),
    ] = "add",
) -> ImportOut:
    """Nothing is done but to keep it for seven days. One row a card with its user."""
    operator_id = caller.tenant()
    imports.check_type(request)
    connections: Connections = request.app.state.connections
    with imports.turn():
        data = await imports.file(request)
        async with connections.acting(caller) as db:
            zone = await import_known.zone_of(db, operator_id)
        try:
            file = await asyncio.to_thread(import_rows.read, data, zone)
        except Unreadable as error:
            raise imports.FileUnreadable(error.why, line=error.line) from error
        full = mode == "full"
        async with connections.acting(caller) as db:
            known = await import_known.load(db, operator_id, file, full=full)
        made, kept = await asyncio.to_thread(_planned, file, known, caller, mode)
        async with connections.acting(caller) as db:
            await import_store.keep(db, made, kept)
    return ImportOut.model_validate(made)


def _planned(
    file: import_rows.File, known: Known, caller: Principal, mode: Literal["add", "full"]
) -> tuple[PeopleImport, list[import_store.Stored]]:
    outcomes = import_plan.plan(file, known, uuid7, full=mode == "full")
    made = PeopleImport(
        id=uuid7(),
        operator_id=caller.tenant(),
        state="shown",
        mode=mode,
        encoding=file.encoding,
        separator=file.separator,
        columns=list(file.columns),
        counts=import_plan.counted(outcomes),
        made_by=caller.sub,
        made_at=now(),
    )
    return made, import_store.stored(outcomes)


@router.post("/{import_id}/apply", summary="Do what an import has shown", dependencies=writes)
async def apply_import(import_id: UUID, db: Db, skip_bad: bool = False) -> ImportOut:
    """All of it or, if the data changed since it was shown, nothing."""
    shown = select(PeopleImport).where(PeopleImport.id == import_id).with_for_update()
    made = await db.scalar(shown)
    if made is None:
        raise _unknown(import_id)
    if made.state == "applied":
        raise ImportApplied(f"at {made.applied_at}")
    bad = made.counts["rows"]["bad"]
    if bad and made.mode == "full":
        raise BadRows(f"a full file must be good, or who is in the {bad} would be switched off")
    if bad and not skip_bad:
        raise BadRows(f"{bad} of them; repair the file, or send skip_bad=true")
    await import_apply.carry_out(db, made)
    made.state, made.applied_at = "applied", now()
    await db.flush()
    return ImportOut.model_validate(made)


@router.get("/{import_id}", summary="Read an import", dependencies=reads)
async def read_import(import_id: UUID, db: Db) -> ImportOut:
    return ImportOut.model_validate(await _get(db, import_id))


@router.get("/{import_id}/rows", summary="List what an import does row by row", dependencies=reads)
async def list_import_rows(
    import_id: UUID,
    db: Db,
    outcome: Outcome | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ImportRowOut]:
    """In the order of the file; rows that change nothing are counted only."""
    await _get(db, import_id)
    query = select(PeopleImportRow).where(PeopleImportRow.import_id == import_id)
    if outcome is not None:
        query = query.where(PeopleImportRow.outcome == outcome)
    found, following = await rows(db, query, PeopleImportRow.id, limit=limit, cursor=cursor)
    items = [
        ImportRowOut(id=row.id, line=row.line, outcome=row.outcome, **row.content) for row in found
    ]
    return Page(items=items, next_cursor=following)


async def _get(db: Db, import_id: UUID) -> PeopleImport:
    made = await db.get(PeopleImport, import_id)
    if made is None:
        raise _unknown(import_id)
    return made


def _unknown(import_id: UUID) -> NotFound:
    return NotFound(f"there is no import with the id {import_id}; they are kept seven days")


async def prune_once(connections: Connections) -> None:
    """They are copies of personal data."""
    async with connections.begin(PLATFORM) as db:
        await db.execute(delete(PeopleImport).where(PeopleImport.made_at < now() - KEPT))
