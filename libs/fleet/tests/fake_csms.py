"""A small server on somebody else's OCPP implementation, which validates every frame by schema."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import ocpp.v16  # type: ignore[import-untyped, unused-ignore]
from ocpp.routing import on  # type: ignore[import-untyped, unused-ignore]
from ocpp.v16 import (  # type: ignore[import-untyped, unused-ignore]
    call_result,
)
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

F = TypeVar("F", bound=Callable[..., Any])


def answers(action: str) -> Callable[[F], F]:
    """Type the decorator of a package that publishes no types."""
    return cast("Callable[[F], F]", on(action))


@dataclass
class Frame:
    action: str
    message_id: str
    payload: dict[str, Any]


class Peer(ocpp.v16.ChargePoint):  # type: ignore[misc]
    """The server's end of one connection."""

    def __init__(self, station_id: str, socket: ServerConnection, csms: "FakeCsms") -> None:
        super().__init__(station_id, socket, response_timeout=5)
        self.csms = csms

    async def route_message(self, raw: str) -> None:
        try:
            frame = json.loads(raw)
        except ValueError:
            self.csms.garbage.append(raw)
            return
        if frame[0] == 2:
            _, message_id, action, payload = frame
            self.csms.frames.append(Frame(action, message_id, payload))
            async with self.csms.news:
                self.csms.news.notify_all()
            if self.csms.take(self.csms.fails, action):
                code = self.csms.fail_code
                await self._connection.send(json.dumps([4, message_id, code, "planned", {}]))
                return
            if self.csms.take(self.csms.silences, action):
                return
        await super().route_message(raw)

    async def _send(self, message: str) -> None:
        if json.loads(message)[0] == 4:
            self.csms.complaints.append(message)
        await super()._send(message)

    @answers("BootNotification")
    def boot(self, **_: Any) -> Any:
        status = self.csms.boots.pop(0) if self.csms.boots else "Accepted"
        interval = 1 if status != "Accepted" else self.csms.interval
        return call_result.BootNotification(
            current_time=datetime.now(UTC).isoformat(), interval=interval, status=status
        )

    @answers("Heartbeat")
    def heartbeat(self) -> Any:
        return call_result.Heartbeat(current_time=datetime.now(UTC).isoformat())

    @answers("StatusNotification")
    def status(self, **_: Any) -> Any:
        return call_result.StatusNotification()

    @answers("Authorize")
    def authorize(self, id_tag: str) -> Any:
        return call_result.Authorize(id_tag_info=self.csms.info(self.csms.authorized, id_tag))

    @answers("StartTransaction")
    def start_transaction(self, connector_id: int, id_tag: str, **start: Any) -> Any:
        key = (self.id, connector_id, id_tag, start["timestamp"], start["meter_start"])
        transaction_id = self.csms.transactions.setdefault(key, len(self.csms.transactions) + 1)
        return call_result.StartTransaction(
            transaction_id=transaction_id,
            id_tag_info=self.csms.info(self.csms.started, id_tag),
        )

    @answers("MeterValues")
    def meter_values(self, **_: Any) -> Any:
        return call_result.MeterValues()

    @answers("StopTransaction")
    def stop_transaction(self, **_: Any) -> Any:
        return call_result.StopTransaction()


@dataclass
class FakeCsms:
    """Answers Accepted to everything that is not planned otherwise, and keeps what it got.

    `fails` and `silences` count down for each action; `complaints` are the CALLERRORs that the
    implementation itself sent, for breaches of the schema.
    """

    url: str = ""
    interval: int = 300
    fail_code: str = "InternalError"
    fails: Counter[str] = field(default_factory=Counter)
    silences: Counter[str] = field(default_factory=Counter)
    boots: list[str] = field(default_factory=list)
    authorized: dict[str, str] = field(default_factory=dict)
    started: dict[str, str] = field(default_factory=dict)
    transactions: dict[tuple[Any, ...], int] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    garbage: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    port: int = 0
    _server: Server | None = None

    @staticmethod
    def take(plan: Counter[str], action: str) -> bool:
        if plan[action] <= 0:
            return False
        plan[action] -= 1
        return True

    @staticmethod
    def info(plan: dict[str, str], id_tag: str) -> dict[str, str]:
        return {"status": plan.get(id_tag, "Accepted")}

    def sent(self, *actions: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.action in actions]

    def payloads(self, action: str) -> list[dict[str, Any]]:
        return [frame.payload for frame in self.sent(action)]

    def statuses(self, connector_id: int) -> list[str]:
        reports = self.payloads("StatusNotification")
        return [report["status"] for report in reports if report["connectorId"] == connector_id]

    async def until(self, action: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until an action has come so often."""
        async with asyncio.timeout(5), self.news:
            await self.news.wait_for(lambda: len(self.sent(action)) >= count)
        return self.payloads(action)

    async def command(self, request: Any) -> Any:
        """Send a command to the station that connected last; both ways are validated."""
        return await self.peers[-1].call(request, suppress=False)

    async def open(self) -> None:
        self._server = await serve(
            self._talk,
            "127.0.0.1",
            self.port,
            subprotocols=[Subprotocol("ocpp1.6")],
            process_request=self._note,
            compression=None,
            close_timeout=1,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/ocpp"

    async def close(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    def _note(self, _socket: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        return None

    async def _talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        peer = Peer(socket.request.path.rsplit("/", 1)[1], socket, self)
        self.peers.append(peer)
        async for raw in socket:
            await peer.route_message(str(raw))
