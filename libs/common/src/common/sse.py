"""Server-sent events: a stream that a client can take up again where it broke off.

Source: HTML Living Standard, 9.2; a browser sends Last-Event-ID by itself when it reconnects.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Header
from fastapi.responses import StreamingResponse

KEEP_ALIVE_S: Final = 15.0  # proxies drop a silent connection, some after half a minute
# As long as an access token is good: who follows longer comes back with a new one.
STREAM_S: Final = 15 * 60.0

LastEventId = Annotated[
    int | None, Header(ge=0, le=2**63 - 1, description="the id of the last event received")
]


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    event: str
    data: str  # JSON in one line


def response(events: AsyncGenerator[Sequence[Event]]) -> StreamingResponse:
    """Those that come together are sent in one piece; none keeps the connection alive."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(events), media_type="text/event-stream", headers=headers)


async def _lines(events: AsyncGenerator[Sequence[Event]]) -> AsyncIterator[str]:
    until = time.monotonic() + STREAM_S
    yield "retry: 2000\n\n"
    async with aclosing(events):
        async for some in events:
            pieces = [f"id: {one.id}\nevent: {one.event}\ndata: {one.data}\n\n" for one in some]
            yield "".join(pieces) or ": nothing new\n\n"
            if time.monotonic() > until:
                return
