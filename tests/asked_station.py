"""A station that answers what it is asked, and the operator who asks, on one gateway."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway_wire import OPERATOR, Gateway, Wire
from stack import WAIT_S, eventually
from websockets.asyncio.client import ClientConnection

SCOPES = (
    "commands:read", "commands:write", "messages:read", "sessions:read", "stations:read",
)  # fmt: skip
Called = tuple[str, dict[str, Any]]


class Station(Wire):
    def __init__(self, gateway: Gateway, station_id: str, socket: ClientConnection) -> None:
        super().__init__(socket)
        self.gateway = gateway
        self.id = station_id

    async def called(self, answer: dict[str, Any] | str) -> Called:
        """The next call, answered so; a text is the code of a CALLERROR."""
        while True:
            frame = json.loads(await asyncio.wait_for(self.socket.recv(), WAIT_S))
            if frame[0] == 2:
                break
        if isinstance(answer, str):
            await self.socket.send(json.dumps([4, frame[1], answer, "", {}]))
        else:
            await self.socket.send(json.dumps([3, frame[1], answer]))
        return frame[2], frame[3]

    async def quiet(self) -> None:
        """Nothing is asked."""
        try:
            frame = await asyncio.wait_for(self.socket.recv(), 0.5)
        except TimeoutError:
            return
        raise AssertionError(frame)

    async def ask(
        self, command: dict[str, Any], *answers: dict[str, Any] | str
    ) -> tuple[list[Called], dict[str, Any]]:
        """The calls that a command became, answered in turn, and what it ended as."""
        async with self.gateway.service.as_(OPERATOR, *SCOPES) as api:
            path = f"/v1/stations/{self.id}/commands"
            asking = asyncio.ensure_future(api.post(path, json=command, params={"wait_s": 10}))
            calls = [await self.called(answer) for answer in answers]
            done = await asking
        assert done.status_code == 200, done.text
        return calls, done.json()

    async def refused(self, command: dict[str, Any]) -> str:
        """Why a command became no call at all."""
        calls, done = await self.ask(command)
        assert (calls, done["state"], done["calls"]) == ([], "failed", [])
        why: str = done["result"]["description"]
        return why

    async def get(self, path: str, **params: Any) -> Any:
        async with self.gateway.service.as_(OPERATOR, *SCOPES) as api:
            found = await api.get(path, params=params)
        assert found.status_code == 200, found.text
        return found.json()

    async def eventually(self, path: str, wanted: Any, **params: Any) -> Any:
        """What is there once wanted() says yes to it."""

        async def look() -> Any:
            found = await self.get(path, **params)
            return found if wanted(found) else None

        return await eventually(look)

    async def notified(self, action: str) -> list[dict[str, Any]]:
        found = await self.get(f"/v1/stations/{self.id}/notifications", action=action)
        return [one["payload"] for one in found["items"]]


@asynccontextmanager
async def station(gateway: Gateway, protocol: str) -> AsyncIterator[Station]:
    station_id = await gateway.add_station()
    async with gateway.connected(station_id, protocol) as socket:
        yield Station(gateway, station_id, socket)
