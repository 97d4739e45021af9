"""Commands read by REST, and taken back while they are queued."""

from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging
from common.auth import Caller, scoped
from common.clock import now
from common.database import Db
from common.problems import NotFound, Problem
from csms_gateway import connections, masking, tables
from csms_gateway.commands.shown import CommandOut, State, StationFilter, TypeFilter, filtered

router = APIRouter(prefix="/v1", tags=["commands"])


class AlreadySent(Problem):
    status = 409
    title = "The command is no longer queued"


@router.get(
    "/commands",
    summary="Commands to any station, newest first",
    dependencies=[scoped("commands:read")],
)
async def list_all_commands(
    db: Db,
    station_id: StationFilter = None,
    state: State | None = None,
    type: TypeFilter = None,  # noqa: A002 - the filter is named as the member
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[CommandOut]:
    rows, after = await paging.rows(
        db,
        filtered(station_id, state, type),
        tables.Command.id,
        limit=limit,
        cursor=cursor,
        newest_first=True,
    )
    return paging.Page(items=[CommandOut.model_validate(row) for row in rows], next_cursor=after)


@router.get(
    "/stations/{station_id}/commands",
    summary="Commands to a station, newest first",
    dependencies=[scoped("commands:read")],
)
async def list_commands(
    station_id: connections.StationPath,
    db: Db,
    state: State | None = None,
    type: TypeFilter = None,  # noqa: A002 - the filter is named as the member
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[CommandOut]:
    return await list_all_commands(db, station_id, state, type, limit, cursor)


@router.get(
    "/stations/{station_id}/commands/{command_id}",
    summary="One command and what came of it",
    dependencies=[scoped("commands:read")],
)
async def get_command(station_id: connections.StationPath, command_id: UUID, db: Db) -> CommandOut:
    return CommandOut.model_validate(await _command(db, station_id, command_id))


async def _command(db: AsyncSession, station_id: str, command_id: UUID) -> tables.Command:
    row = await db.get(tables.Command, command_id)
    if row is None or row.station_id != station_id:
        raise NotFound(f"no command {command_id} to {station_id!r}")
    return row


@router.delete(
    "/stations/{station_id}/commands/{command_id}",
    summary="Cancel a command that is still queued",
    dependencies=[scoped("commands:write")],
)
async def cancel_command(
    station_id: connections.StationPath, command_id: UUID, request: Request, caller: Caller
) -> CommandOut:
    async with request.app.state.connections.acting(caller) as db:
        row = await _command(db, station_id, command_id)
        queued = update(tables.Command).where(
            tables.Command.id == row.id, tables.Command.state.in_(("queued", "cancelled"))
        )
        change = tables.CHANGE.next_value()
        parameters = masking.hidden(row.parameters)
        cancelling = queued.values(
            state="cancelled", finished_at=now(), secrets=None, change=change, parameters=parameters
        )
        cancelled = await db.scalar(cancelling.returning(tables.Command))
        if cancelled is None:
            raise AlreadySent(f"the command is {row.state}", state=row.state)
        out = CommandOut.model_validate(cancelled)
    feed = request.app.state.beside.gateway.feed
    await feed.tell(station_id, command_id, "cancelled")
    return out
