"""Every change of a command as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import sse, unsettled
from common.auth import Caller, Principal, scoped
from common.database import PLATFORM, Connections
from csms_gateway import tables
from csms_gateway.commands.shown import CommandOut, StationFilter, filtered

router = APIRouter(prefix="/v1", tags=["commands"])


@router.get(
    "/commands/stream",
    summary="Every change of a command, as server-sent events",
    dependencies=[scoped("commands:read")],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream_commands(
    request: Request,
    caller: Caller,
    station_id: StationFilter = None,
    last_event_id: sse.LastEventId = None,
) -> StreamingResponse:
    """Each event is a command as it now is, its id the command's change. Without Last-Event-ID it
    begins with what changes from now on.
    """
    connected = request.app.state.connections
    last = await _newest(connected) if last_event_id is None else last_event_id
    return sse.response(_changes(request, caller, station_id, last))


async def _newest(connected: Connections) -> int:
    """Nothing that is committed from now on has this number or a lower one."""
    async with connected.begin(PLATFORM) as db:
        newest = select(tables.Command.change).order_by(tables.Command.change.desc())
        last: int = await db.scalar(newest.limit(1)) or 0
    await unsettled.gone(connected, tables.Command)
    return last


async def _changes(
    request: Request, caller: Principal, station_id: str | None, last: int
) -> AsyncGenerator[Sequence[sse.Event]]:
    connected = request.app.state.connections
    with request.app.state.beside.gateway.feed.following() as told:
        while True:
            query = filtered(station_id, None, None).where(tables.Command.change > last)
            rows, until = await unsettled.next_rows(
                connected, caller, query, tables.Command.change, _found
            )
            if until is not None:
                yield [_told(row) for row in rows]
                last = until
            else:
                try:
                    await asyncio.wait_for(told.get(), sse.KEEP_ALIVE_S)
                except TimeoutError:
                    yield ()


def _told(row: tables.Command) -> sse.Event:
    return sse.Event(row.change, "command", CommandOut.model_validate(row).model_dump_json())


async def _found(db: AsyncSession, query: Select[Any]) -> Sequence[tables.Command]:
    return (await db.scalars(query)).all()
