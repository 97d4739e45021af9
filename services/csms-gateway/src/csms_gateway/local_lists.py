"""Local authorization lists by REST: what an operator wants on a station, and what is there."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging
from common.auth import Caller, scoped
from common.clock import now
from common.database import Db
from common.ids import uuid7
from common.problems import Problem
from common.versions import Expected, require, tag
from csms_gateway import tables
from csms_gateway.commands.asking import DEADLINE_S_MAX, UnknownStation
from csms_gateway.commands.kinds import ListedToken
from csms_gateway.connections import StationPath

ENTRIES_MAX: Final = 10_000
DONE: Final = ("rejected", "failed", "timed_out", "cancelled")

router = APIRouter(prefix="/v1/local-lists", tags=["local lists"])

State = Literal["unmanaged", "sending", "in_sync", "differs", "failed", "version_mismatch"]


class TokenTwice(Problem):
    status = 422
    title = "A token is in the list twice"


class WantedEntry(ListedToken):
    status: Literal["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"] = "Accepted"


class LocalListIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    entries: Annotated[list[WantedEntry], Field(max_length=ENTRIES_MAX)]


class LocalListSummary(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    station_id: str
    version: int = Field(description="of what is wanted; 0: nobody has said")
    state: State = Field(
        description="unmanaged: nothing is wanted; differs: the station was told something else; "
        "version_mismatch: the station has a list of another number than ours"
    )
    command_id: UUID | None = Field(description="the command that last sent it")
    changed_at: datetime | None
    installed_version: int | None = Field(
        description="the station's number of its list: 0 none, -1 it can hold none; null: unknown"
    )
    installed_count: int | None = Field(description="entries on the station; null: unknown")
    installed_at: datetime | None = Field(description="when the station last told of it")


class LocalListOut(LocalListSummary):
    entries: list[WantedEntry] | None = Field(description="wanted; null: nobody has said")


_COUNT = func.jsonb_array_length(tables.LocalList.installed)


def _shown(row: tables.LocalList, count: int | None, command: str | None) -> dict[str, Any]:
    names = LocalListSummary.model_fields.keys() - {"installed_count"}
    found = {name: getattr(row, name) for name in names}
    if row.state == "sending" and command in DONE:
        found["state"] = "failed"  # the station was never reached, or answered with an error
    return found | {"installed_count": None if row.pending_version is not None else count}


def _query() -> Any:
    return select(tables.LocalList, _COUNT, tables.Command.state).outerjoin(
        tables.Command, tables.Command.id == tables.LocalList.command_id
    )


@router.get("", summary="Local lists and their state", dependencies=[scoped("commands:read")])
async def list_local_lists(
    db: Db, limit: paging.Limit = paging.LIMIT_DEFAULT, cursor: paging.Cursor = None
) -> paging.Page[LocalListSummary]:
    rows, after = await paging.rows(
        db, select(tables.LocalList), tables.LocalList.station_id, limit=limit, cursor=cursor
    )
    ids = [row.station_id for row in rows]
    found = await db.execute(
        _query().where(tables.LocalList.station_id.in_(ids)).order_by(tables.LocalList.station_id)
    )
    items = [LocalListSummary(**_shown(*one)) for one in found]
    return paging.Page(items=items, next_cursor=after)


@router.get(
    "/{station_id}",
    summary="The local list of a station: wanted and installed",
    dependencies=[scoped("commands:read")],
)
async def get_local_list(station_id: StationPath, db: Db, response: Response) -> LocalListOut:
    await _station(db, station_id)
    return await _out(db, station_id, response)


async def _out(db: AsyncSession, station_id: str, response: Response) -> LocalListOut:
    found = (await db.execute(_query().where(tables.LocalList.station_id == station_id))).first()
    if found is None:
        tag(response, 0)
        return LocalListOut(
            station_id=station_id, version=0, state="unmanaged", command_id=None, changed_at=None,
            installed_version=None, installed_count=None, installed_at=None, entries=None,
        )  # fmt: skip
    tag(response, found[0].version)
    return LocalListOut(**_shown(*found), entries=found[0].entries)


async def _station(db: AsyncSession, station_id: str) -> tables.Station:
    """Raises UnknownStation."""
    station = await db.get(tables.Station, station_id)
    if station is None or not station.active:
        raise UnknownStation(f"there is no station {station_id!r}")
    return station


@router.put(
    "/{station_id}",
    summary="Say what is wanted on a station, and send it",
    dependencies=[scoped("commands:write")],
)
async def put_local_list(
    station_id: StationPath,
    body: LocalListIn,
    expected: Expected,
    caller: Caller,
    request: Request,
    response: Response,
) -> LocalListOut:
    """A station that is away gets it when it comes back, for up to 7 days. The first list is put
    with If-Match "0".
    """
    tokens = [(one.id_token.upper(), one.id_token_type) for one in body.entries]
    if len(set(tokens)) < len(tokens):
        raise TokenTwice("each token may be there once (without case)")
    parts = request.app.state.parts
    # Not the Db dependency: the notice must go out after the commit, or it would find nothing.
    async with parts.connections.acting(caller) as db:
        station = await _station(db, station_id)
        command_id = await _put(db, station, body, expected, caller.sub)
        out = await _out(db, station_id, response)
    await request.app.state.beside.gateway.feed.tell(station_id, command_id, "queued")
    await request.app.state.beside.notify(station_id)
    return out


async def _put(
    db: AsyncSession,
    station: tables.Station,
    body: LocalListIn,
    expected: frozenset[int] | None,
    by: str,
) -> UUID:
    new = insert(tables.LocalList).values(
        station_id=station.station_id, operator_id=station.operator_id, changed_at=now()
    )
    await db.execute(new.on_conflict_do_nothing())
    row = await db.get_one(tables.LocalList, station.station_id, with_for_update=True)
    require(expected, row.version)
    at, command_id = now(), uuid7()
    row.version += 1
    row.entries = [one.model_dump(mode="json", exclude_none=True) for one in body.entries]
    row.state, row.command_id, row.changed_at = "sending", command_id, at
    db.add(
        tables.Command(
            id=command_id,
            operator_id=station.operator_id,
            station_id=station.station_id,
            idempotency_key=command_id.hex,
            type="send_local_list",
            parameters={},
            requested_by=by,
            requested_at=at,
            deadline_at=at + timedelta(seconds=DEADLINE_S_MAX),
        )
    )
    await db.flush()
    return command_id
