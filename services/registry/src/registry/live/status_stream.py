"""Live statuses as server-sent events."""

from collections.abc import AsyncGenerator, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from common import sse
from common.auth import Caller, scoped
from common.database import Connections
from registry.fields import StationId
from registry.live.following import FellBehind, Following, Wanted, missed

router = APIRouter(prefix="/v1/status", tags=["status"])

RESET = sse.Event(0, "reset", "{}")


@router.get(
    "/stream",
    summary="Live statuses as they change, as server-sent events",
    dependencies=[scoped("status:read")],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream_statuses(
    request: Request,
    caller: Caller,
    location_id: UUID | None = None,
    group_id: Annotated[
        UUID | None, Query(description="stations of this group, and of those in it")
    ] = None,
    station_id: Annotated[StationId | None, Query()] = None,
    last_event_id: sse.LastEventId = None,
) -> StreamingResponse:
    """`evse`: one with its connectors and session, `station`: a station without its EVSEs; each
    whole, as it is now, a few times a second at most. Without Last-Event-ID it begins with what
    changes from now on, after 0 with all that is known; after any other with what changed since,
    however long ago. `reset`: forget what you have, for the state follows anew.
    """
    wanted = Wanted(caller, location_id, group_id, station_id)
    beside: Following = request.app.state.beside.following
    return sse.response(_followed(request.app.state.connections, beside, wanted, last_event_id))


async def _followed(
    connections: Connections, following: Following, wanted: Wanted, last: int | None
) -> AsyncGenerator[Sequence[sse.Event]]:
    with following.follower(wanted) as follower:
        position = await following.position()
        yield ()  # says that nothing is missed from here on
        if last is not None and last > position and last > await following.newest():
            # A number that was never given: the database was restored from a backup.
            yield [RESET]
            last = 0
        while last is not None and last < position:
            events, last = await missed(connections, wanted, last, position)
            yield events
        while True:
            try:
                events = await follower.take()
            except FellBehind:
                return
            yield events
