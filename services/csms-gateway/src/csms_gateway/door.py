"""The OCPP port's door: one HTTP request is read, whether it may come in is asked, and then the
WebSocket library has the connection.

picows decides about an upgrade in a callback, which cannot ask a database; so the request is read
here and handed to it, with its answer, once that is known.
"""

import asyncio
import http
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import h11
from multidict import CIMultiDict
from picows import WSAutoPingStrategy, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stub
from prometheus_client import Counter

from csms_gateway.sockets import CLOSE_S, Socket

Headers = CIMultiDict[str]

HEAD_BYTES_MAX: Final = 16 * 1024  # a client certificate in an ingress's header takes 4
INTERNAL_ERROR: Final = 1011
READ_BUFFER: Final = 1024  # grows with what comes; most messages are smaller
# picows tells each connection's life to its logger; a logger of one's own for each is memory.
LOG: Final = logging.LoggerAdapter(logging.getLogger("picows"), {})
LOG.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Request:
    target: str
    headers: Headers
    transport: asyncio.Transport  # peer and certificate


@dataclass(frozen=True, slots=True)
class Refusal:
    status: http.HTTPStatus
    why: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Come:
    subprotocol: str | None
    serve: Callable[[Socket], Coroutine[Any, Any, None]]


CUT_OFF = Counter(
    "csms_gateway_door_cut_off_total", "Connections cut off before they were let in", ["why"]
)

Ask = Callable[[Request], Awaitable[Come | Refusal]]
Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Door(asyncio.Protocol):
    """One connection until it is a WebSocket or refused."""

    def __init__(
        self,
        ask: Ask,
        spawn: Spawn,
        open_s: float,
        message_bytes_max: int,
        silent_no_more: Callable[["Door"], None],
        close_s: float = CLOSE_S,
    ) -> None:
        self._ask = ask
        self._spawn = spawn
        self._open_s = open_s
        self._message_bytes_max = message_bytes_max
        self._close_s = close_s
        self._silent_no_more = silent_no_more
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._late: asyncio.TimerHandle | None = None
        self._read = False  # the head is complete, and no more is read until it is decided

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._late = asyncio.get_running_loop().call_later(self._open_s, self.cut_off, "late")

    def connection_lost(self, _: Exception | None) -> None:
        self._silent_no_more(self)
        self._done()

    @property
    def reached(self) -> bool:
        """The connection stands, TLS and all."""
        return self._transport is not None

    def cut_off(self, why: str) -> None:
        CUT_OFF.labels(why).inc()
        if self._transport:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        assert self._transport
        if self._transport.is_closing():
            return
        self._head += data
        if self._read:
            return
        end = self._head.find(b"\r\n\r\n")
        if 0 <= end <= HEAD_BYTES_MAX:
            self._read = True
            self._silent_no_more(self)
            self._transport.pause_reading()
            self._spawn(self._decide(), "who may connect")
        elif len(self._head) > HEAD_BYTES_MAX:
            self._refuse(Refusal(http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too long"))

    def _done(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None

    async def _decide(self) -> None:
        assert self._transport
        request = self._request()
        if request is None:
            self._refuse(Refusal(http.HTTPStatus.BAD_REQUEST, "that is no HTTP request"))
            return
        answer = await self._ask(request)
        self._done()
        if self._transport.is_closing():
            return
        if isinstance(answer, Refusal):
            self._refuse(answer)
            return
        try:
            self._hand_over(answer)
        except Exception:
            self._transport.abort()
            raise

    def _request(self) -> Request | None:
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        parser.receive_data(self._head)
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError:
            return None
        if not isinstance(event, h11.Request):
            return None
        headers = Headers(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers
        )
        assert self._transport
        return Request(event.target.decode("latin-1"), headers, self._transport)

    def _refuse(self, refusal: Refusal) -> None:
        assert self._transport
        self._done()
        body = f"{refusal.why}\n".encode()
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **refusal.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        status = f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}\r\n"
        self._transport.write(f"{status}{lines}\r\n".encode() + body)
        self._transport.close()

    def _hand_over(self, admission: Come) -> None:
        assert self._transport
        socket = Socket(self._message_bytes_max, self._close_s)
        chosen = {"Sec-WebSocket-Protocol": admission.subprotocol} if admission.subprotocol else {}
        response = WSUpgradeResponse.create_101_response(chosen)
        protocol = WSProtocol(
            None, None, False, lambda _: WSUpgradeResponseWithListener(response, socket),
            LOG, True, self._open_s, False, 0, 0, WSAutoPingStrategy.PING_WHEN_IDLE, True,
            self._message_bytes_max, None, READ_BUFFER,
        )  # fmt: skip
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        head = memoryview(self._head)
        while head:
            room = protocol.get_buffer(-1)
            taken = min(len(room), len(head))
            room[:taken] = head[:taken]
            protocol.buffer_updated(taken)
            head = head[taken:]
        if socket.connected:
            # Frames that came with the request may have filled the queue already.
            if not socket.paused:
                self._transport.resume_reading()
            self._spawn(_served(admission, socket), "a charger")


async def _served(admission: Come, socket: Socket) -> None:
    """An end of serving is an end of the socket: one that nobody reads would stay for ever."""
    try:
        await admission.serve(socket)
    finally:
        socket.close_soon(INTERNAL_ERROR, "try again")
