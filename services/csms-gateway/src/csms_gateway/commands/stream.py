"""Every change of a command as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from common import paging, sse
from common.auth import Caller, scoped
from common.database import PLATFORM
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
    follow = _changes(request, caller.operator_id, station_id, last_event_id)
    return sse.response(follow)


async def _changes(
    request: Request, operator_id: UUID | None, station_id: str | None, last: int | None
) -> AsyncGenerator[sse.Event | None]:
    connected = request.app.state.connections
    with request.app.state.beside.gateway.feed.following() as told:
        if last is None:
            async with connected.begin(operator_id or PLATFORM) as db:
                newest = select(tables.Command.change).order_by(tables.Command.change.desc())
                last = await db.scalar(newest.limit(1)) or 0
        while True:
            query = filtered(station_id, None, None).where(tables.Command.change > last)
            query = query.order_by(tables.Command.change).limit(paging.LIMIT_MAX)
            async with connected.begin(operator_id or PLATFORM) as db:
                rows = (await db.scalars(query)).all()
            for row in rows:
                last = row.change
                yield sse.Event(last, "command", CommandOut.model_validate(row).model_dump_json())
            if not rows:
                try:
                    await asyncio.wait_for(told.get(), sse.KEEP_ALIVE_S)
                except TimeoutError:
                    yield None
