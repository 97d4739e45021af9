"""What becomes of commands, told to every replica: to whoever waits for one, and to SSE streams.

Core NATS, so a message may be lost; the record is the truth and whoever waits looks there too.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

log = logging.getLogger(__name__)

SUBJECT: Final = "csms.gateway_commands"
FINISHED: Final = {"accepted", "rejected", "failed", "timed_out", "cancelled"}
WAITING_MAX: Final = 500  # changes a slow reader may lag behind; then it must look itself


class Feed:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._followers: set[asyncio.Queue[dict[str, Any]]] = set()

    async def listen(self) -> None:
        await self._client.subscribe(SUBJECT, cb=self._heard)

    async def tell(self, station_id: str, command_id: UUID, state: str) -> None:
        change = {
            "station_id": station_id,
            "id": str(command_id),
            "state": state,
        }
        with contextlib.suppress(Exception):  # it is only a notice
            await self._client.publish(SUBJECT, orjson.dumps(change))

    async def _heard(self, message: Msg) -> None:
        change = orjson.loads(message.data)
        for queue in self._followers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(change)

    @contextlib.contextmanager
    def following(self) -> Iterator["asyncio.Queue[dict[str, Any]]"]:
        """The changes from now on; the oldest are dropped if nobody takes them."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WAITING_MAX)
        self._followers.add(queue)
        try:
            yield queue
        finally:
            self._followers.discard(queue)
