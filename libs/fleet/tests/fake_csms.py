"""A small server on somebody else's OCPP implementation, which validates every frame by schema."""

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import ocpp.v16  # type: ignore[import-untyped, unused-ignore]
import ocpp.v21
import ocpp.v201
from ocpp.routing import on  # type: ignore[import-untyped, unused-ignore]
from ocpp.v16 import (  # type: ignore[import-untyped, unused-ignore]
    call_result,
)
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

# A charger that is a process of its own takes its time to start on a busy machine.
LONGEST_S = 60

F = TypeVar("F", bound=Callable[..., Any])


def answers(action: str) -> Callable[[F], F]:
    """Type the decorator of a package that publishes no types."""
    return cast("Callable[[F], F]", on(action))


@dataclass
class Frame:
    action: str
    message_id: str
    payload: dict[str, Any]


class Listening:
    """What a server's end of a connection does in every version."""

    csms: "FakeCsms"
    id: str

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
                await self._connection.send(json.dumps([4, message_id, code, "planned", {}]))  # type: ignore[attr-defined]
                return
            if self.csms.take(self.csms.silences, action):
                return
        await super().route_message(raw)  # type: ignore[misc]

    async def _send(self, message: str) -> None:
        if json.loads(message)[0] == 4:
            self.csms.complaints.append(message)
        await super()._send(message)  # type: ignore[misc]


class Peer(Listening, ocpp.v16.ChargePoint):  # type: ignore[misc]
    """The server's end of one connection of OCPP 1.6."""

    @answers("BootNotification")
    def boot(self, **_: Any) -> Any:
        return call_result.BootNotification(**self.csms.boot_answer())

    @answers("Heartbeat")
    def heartbeat(self) -> Any:
        return call_result.Heartbeat(current_time=datetime.now(UTC).isoformat())

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


class Peer2(Listening):
    """The server's end of one connection of OCPP 2.0.1 or 2.1."""

    results: Any

    @answers("BootNotification")
    def boot(self, **_: Any) -> Any:
        return self.results.BootNotification(**self.csms.boot_answer())

    @answers("Heartbeat")
    def heartbeat(self) -> Any:
        return self.results.Heartbeat(current_time=datetime.now(UTC).isoformat())

    @answers("Authorize")
    def authorize(self, id_token: dict[str, Any], **_: Any) -> Any:
        info = self.csms.info(self.csms.authorized, id_token["id_token"])
        return self.results.Authorize(id_token_info=info)

    @answers("TransactionEvent")
    def transaction_event(self, event_type: str, transaction_info: Any, **event: Any) -> Any:
        more: dict[str, Any] = {}
        if event_type == "Started":
            key = (self.id, transaction_info["transaction_id"])
            self.csms.transactions.setdefault(key, len(self.csms.transactions) + 1)
        if event_type == "Ended" and self.csms.total_cost is not None:
            more["total_cost"] = self.csms.total_cost
        if token := event.get("id_token"):
            more["id_token_info"] = self.csms.info(self.csms.started, token["id_token"])
        return self.results.TransactionEvent(**more)


def _empty_answers(results: Any, *actions: str) -> dict[str, Any]:
    """Handlers for calls whose answer has nothing in it."""

    def handler(action: str) -> Any:
        def answer(_self: Any, **_payload: Any) -> Any:
            return getattr(results, action)()

        answer.__name__ = action  # the library finds handlers by their names
        return answers(action)(answer)

    return {action: handler(action) for action in actions}


TOLD_1 = (
    *("StatusNotification", "MeterValues", "StopTransaction", "LogStatusNotification"),
    *("FirmwareStatusNotification", "SignedFirmwareStatusNotification"),
    "DiagnosticsStatusNotification",
)
TOLD_2 = (
    *("StatusNotification", "MeterValues", "NotifyEvent", "NotifyReport", "NotifyMonitoringReport"),
    *("LogStatusNotification", "FirmwareStatusNotification", "NotifyDisplayMessages"),
    *("NotifyCustomerInformation", "ReservationStatusUpdate", "ReportChargingProfiles"),
)


def _peer(module: Any, old: type | None = None) -> Any:
    results = module.call_result
    told = TOLD_1 if old else TOLD_2
    bases = (old,) if old else (Peer2, module.ChargePoint)

    def sign(_self: Any, **_payload: Any) -> Any:
        return results.SignCertificate(status="Accepted")

    members = _empty_answers(results, *told) | {"results": results}
    return type("ItsPeer", bases, members | {"sign": answers("SignCertificate")(sign)})


PEERS = {
    "ocpp1.6": _peer(ocpp.v16, Peer),
    "ocpp2.0.1": _peer(ocpp.v201),
    "ocpp2.1": _peer(ocpp.v21),
}


@dataclass
class FakeCsms:
    """Answers Accepted to everything that is not planned otherwise, and keeps what it got.

    `fails` and `silences` count down for each action; `complaints` are the CALLERRORs that the
    implementation itself sent, for breaches of the schema.
    """

    url: str = ""
    interval: int = 300
    boot_again_s: int = 1  # of what is not accepted
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
    peers: list[Any] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    total_cost: float | None = None
    tls: ssl.SSLContext | None = None
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

    def boot_answer(self) -> dict[str, Any]:
        status = self.boots.pop(0) if self.boots else "Accepted"
        interval = self.boot_again_s if status != "Accepted" else self.interval
        now = datetime.now(UTC).isoformat()
        return {"current_time": now, "interval": interval, "status": status}

    def sent(self, *actions: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.action in actions]

    def payloads(self, action: str) -> list[dict[str, Any]]:
        return [frame.payload for frame in self.sent(action)]

    def statuses(self, connector_id: int) -> list[str]:
        reports = self.payloads("StatusNotification")
        return [
            report.get("status") or report["connectorStatus"]
            for report in reports
            if report.get("evseId", report["connectorId"]) == connector_id
        ]

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The TransactionEvents of a type, or all."""
        events = self.payloads("TransactionEvent")
        return [event for event in events if kind in {None, event["eventType"]}]

    async def until(self, action: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until an action has come so often."""
        await self.heard(lambda: len(self.sent(action)) >= count)
        return self.payloads(action)

    async def heard(self, what: Callable[[], bool]) -> None:
        """Wait until this is true of what has come."""
        async with asyncio.timeout(LONGEST_S), self.news:
            await self.news.wait_for(what)

    async def command(self, request: Any) -> Any:
        """Send a command to the station that connected last; both ways are validated."""
        return await self.peers[-1].call(request, suppress=False)

    async def open(self) -> None:
        self._server = await serve(
            self._talk,
            "127.0.0.1",
            self.port,
            subprotocols=[Subprotocol(name) for name in PEERS],
            ssl=self.tls,
            process_request=self._note,
            compression=None,
            close_timeout=1,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}/ocpp"

    async def close(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    def _note(self, _socket: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        return None

    async def _talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        station_id = socket.request.path.rsplit("/", 1)[1]
        peer = PEERS[str(socket.subprotocol)](station_id, socket, response_timeout=LONGEST_S)
        peer.csms = self
        self.peers.append(peer)
        async for raw in socket:
            # A charger may have gone when its answer is ready; what it sent before still counts.
            with suppress(ConnectionClosed):
                await peer.route_message(str(raw))
