"""Imports of stations: what a file would do is shown by doing it and undoing it again.

So the dry run finds all that the real one would, such as an EVSE code that another operator has. A
file that was imported may come again: then it changes nothing.
"""

import asyncio
import csv
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from common import credentials, imports
from common.auth import Caller, Principal, scoped
from common.exports import BOM, cell
from common.ids import uuid7
from common.problems import Problem
from common.sheet_rows import Fault
from common.sheets import Unreadable
from registry.hardware import stations
from registry.places.models import Address
from registry.station_imports import applying, rows
from registry.station_imports.plan import Outcome, Plan, as_json, plan

router = APIRouter(prefix="/v1/station-imports", tags=["station imports"])

writes = [scoped("stations:write"), scoped("locations:write")]

FAULTS_MAX: Final = 1000  # that are told; more are counted
PASSWORDS: Final = ("station_id", "name", "outcome", "ocpp_url", "password")
CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": f"{', '.join(PASSWORDS)}; a line a station", "content": {"text/csv": {}}}
}


class ImportFaulty(Problem):
    status = 422
    title = "The file has bad rows"


class ImportOutdated(Problem):
    status = 409
    title = "It would do something else by now"


class FaultOut(BaseModel):
    line: int = Field(description="in the file, from 1")
    column: str | None = Field(description="null: the whole row")
    value: str
    why: str


class Difference(BaseModel):
    before: Any
    after: Any


class NewLocationOut(BaseModel):
    line: int
    name: str
    address: Address
    latitude: str | None
    longitude: str | None


class ImportedStationOut(BaseModel):
    line: int
    station_id: str
    outcome: Outcome
    fields: dict[str, Difference]


class Counts(BaseModel):
    make: int = Field(description="stations")
    change: int
    unchanged: int
    locations: int = Field(description="that are made")
    faults: int


class StationImportOut(BaseModel):
    encoding: str = Field(description="utf-8, utf-16, cp1252 or latin-1 as found; or xlsx")
    separator: str | None = Field(description="as found; null: a spreadsheet")
    columns: list[str]
    counts: Counts
    faults: list[FaultOut] = Field(description=f"{FAULTS_MAX} at most; with any nothing is done")
    locations: list[NewLocationOut]
    stations: list[ImportedStationOut] = Field(description="those that are made or change")
    plan: str = Field(description="a digest of what it would do")


@router.post(
    "/preview",
    summary="Show what a file of stations would do",
    dependencies=writes,
    openapi_extra=imports.BODY,
)
async def preview_import(request: Request, caller: Caller) -> StationImportOut:
    """Nothing is done."""
    async with _planned(request, caller) as (db, file, made):
        savepoint = await db.begin_nested()
        hashes = dict.fromkeys((one.station_id for one in made.stations), "")
        made.faults += await applying.carry_out(db, caller.tenant(), made, hashes)
        await savepoint.rollback()
    return _shown(file, made)


@router.post(
    "",
    summary="Make and change stations as a file says; answers their passwords once",
    dependencies=writes,
    openapi_extra=imports.BODY,
    response_class=Response,
    responses=CSV,
)
async def apply_import(
    request: Request,
    caller: Caller,
    expected: Annotated[
        str | None, Query(alias="plan", max_length=64, description="of the preview; else any")
    ] = None,
) -> Response:
    """All of it, or nothing."""
    async with _planned(request, caller) as (db, _, made):
        if expected is not None and expected != _digest(made):
            raise ImportOutdated("what there is has changed since; look at it again")
        passwords = {
            one.station_id: credentials.new_secret()
            for one in made.stations
            if one.outcome == "make"
        }
        hashes = {name: credentials.fast_hash(secret) for name, secret in passwords.items()}
        faults = made.faults
        if not faults:
            faults = await applying.carry_out(db, caller.tenant(), made, hashes)
        if faults:
            told = [FaultOut(**_fault(one)).model_dump() for one in faults[:FAULTS_MAX]]
            raise ImportFaulty(f"{len(faults)} faults; nothing was done", faults=told)
        await applying.tell(db, caller.tenant(), made, hashes)
    answer = _handover(request, made, passwords)
    headers = {
        "Content-Disposition": 'attachment; filename="stations.csv"',
        "Cache-Control": "no-store",
    }
    return Response(answer, media_type="text/csv; charset=utf-8", headers=headers)


@asynccontextmanager
async def _planned(
    request: Request, caller: Principal
) -> AsyncIterator[tuple[AsyncSession, rows.File, Plan]]:
    """In a transaction that commits at the end."""
    operator_id: UUID = caller.tenant()
    imports.check_type(request)
    with imports.turn():
        data = await imports.file(request)
        try:
            file = await asyncio.to_thread(rows.read, data)
        except Unreadable as error:
            raise imports.FileUnreadable(error.why, line=error.line) from error
        async with request.app.state.connections.acting(caller) as db:
            known = await applying.load(db, operator_id, file.stations.keys())
            made = await asyncio.to_thread(plan, file, known, uuid7)
            yield db, file, made


def _fault(fault: Fault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in FaultOut.model_fields}


def _told(made: Plan) -> list[ImportedStationOut]:
    return [
        ImportedStationOut(
            line=one.line,
            station_id=one.station_id,
            outcome=one.outcome,
            fields={
                name: Difference(before=before, after=after)
                for name, before, after in as_json(one.fields)
            },
        )
        for one in made.stations
        if one.outcome != "unchanged"
    ]


def _digest(made: Plan) -> str:
    whole = [one.body.model_dump_json() for one in made.places]
    whole += [one.model_dump_json() for one in _told(made)]
    return hashlib.sha256("\n".join(whole).encode()).hexdigest()


def _shown(file: rows.File, made: Plan) -> StationImportOut:
    outcomes = [one.outcome for one in made.stations]
    return StationImportOut(
        encoding=file.encoding,
        separator=file.separator,
        columns=list(file.columns),
        counts=Counts(
            make=outcomes.count("make"),
            change=outcomes.count("change"),
            unchanged=outcomes.count("unchanged"),
            locations=len(made.places),
            faults=len(made.faults),
        ),
        faults=[FaultOut(**_fault(one)) for one in sorted(made.faults, key=lambda one: one.line)][
            :FAULTS_MAX
        ],
        locations=[
            NewLocationOut(line=one.line, **one.body.model_dump(mode="json")) for one in made.places
        ],
        stations=_told(made),
        plan=_digest(made),
    )


def _handover(request: Request, made: Plan, passwords: dict[str, str]) -> str:
    text = io.StringIO()
    lines = csv.writer(text, delimiter=";")
    lines.writerow(PASSWORDS)
    for one in made.stations:
        password = passwords.get(one.station_id, "")
        url = stations.ocpp_url(request, one.station_id)
        told = (one.station_id, one.facts["name"], one.outcome, url, password)
        lines.writerow([cell(value) for value in told])
    return BOM + text.getvalue()
