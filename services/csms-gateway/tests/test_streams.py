"""Streams lose nothing whose number was given before another's and committed after it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import OPERATOR, Gateway
from sqlalchemy import text

from common.tasks import cancelled

AT_ONCE_S = 0.5  # long enough for a stream to tell what it would tell too soon

CHANGE = "update command set change = nextval('command_change_seq') where id = :id"
SAY = """
insert into message (operator_id, station_id, direction, kind, frame)
values (:operator, :station, 'in', 'bad', :frame)
"""


@dataclass
class Seen:
    """What a stream has told."""

    queue: "asyncio.Queue[dict[str, Any]]" = field(default_factory=lambda: asyncio.Queue(100))

    async def first(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(10):
            return [await self.queue.get() for _ in range(count)]


@asynccontextmanager
async def followed(
    gateway: Gateway, path: str, last: int | None = None, **params: str
) -> AsyncIterator[Seen]:
    """Within, the stream's answer has begun."""
    seen = Seen()
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with (
        gateway.service.as_(OPERATOR, "commands:read", "messages:read") as api,
        api.stream("GET", path, params=params, headers=headers) as stream,
    ):

        async def read() -> None:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    seen.queue.put_nowait(json.loads(line.removeprefix("data: ")))

        reading = asyncio.ensure_future(read())
        try:
            yield seen
        finally:
            await cancelled(reading)


async def asked(gateway: Gateway, station: str) -> dict[str, Any]:
    async with gateway.service.as_(OPERATOR, "commands:write") as api:
        path = f"/v1/stations/{station}/commands"
        answer = await api.post(path, json={"type": "reset"}, params={"deadline_s": 3600})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("taken_up", [False, True])
async def test_a_change_that_commits_after_a_later_one_is_streamed_too(
    gateway: Gateway, taken_up: bool
) -> None:
    station = await gateway.add_station()
    early, late = await asked(gateway, station), await asked(gateway, station)
    connections = gateway.service.app.state.connections
    feed = gateway.service.app.state.beside.gateway.feed
    last = late["change"] if taken_up else None
    async with followed(gateway, "/v1/commands/stream", last, station_id=station) as seen:
        async with connections.begin("*") as first:
            await first.execute(text(CHANGE), {"id": early["id"]})
            async with connections.begin("*") as second:
                await second.execute(text(CHANGE), {"id": late["id"]})
            await feed.tell(station, late["id"], "queued")
            await asyncio.sleep(AT_ONCE_S)
        await feed.tell(station, early["id"], "queued")
        told = await seen.first(2)
    assert [one["id"] for one in told] == [early["id"], late["id"]]
    changes = [one["change"] for one in told]
    assert changes == sorted(changes) and changes[0] > late["change"]


async def test_a_stream_of_commands_begins_with_its_answer(gateway: Gateway) -> None:
    station = await gateway.add_station()
    await asked(gateway, station)
    async with followed(gateway, "/v1/commands/stream", station_id=station) as seen:
        command = await asked(gateway, station)
        assert [one["id"] for one in await seen.first(1)] == [command["id"]]


async def test_a_frame_logged_after_a_later_one_is_streamed_too(gateway: Gateway) -> None:
    station = await gateway.add_station()
    path = f"/v1/stations/{station}/messages/stream"
    connections = gateway.service.app.state.connections
    frame = {"operator": OPERATOR, "station": station}
    async with followed(gateway, path) as seen:
        async with connections.begin("*") as first:
            await first.execute(text(SAY), frame | {"frame": f"early {uuid4()}"})
            async with connections.begin("*") as second:
                await second.execute(text(SAY), frame | {"frame": f"late {uuid4()}"})
            await asyncio.sleep(1 + AT_ONCE_S)  # the log is looked at once a second
        assert [one["frame"].split()[0] for one in await seen.first(2)] == ["early", "late"]
