"""One charger's WebSocket: texts in order, bounded both ways.

picows parses and writes frames in C; half the CPU of the `websockets` package and, with a small
first buffer, no more memory (measured 2026-11: docs/performance.md). It knows callbacks only, so
this gives the gateway what it works with: a text at a time, back-pressure, a close that says why.
"""

import asyncio
import time
from collections import deque
from typing import Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport

QUEUE_MAX: Final = 8  # messages read ahead of the one being answered; then TCP holds the charger
CLOSE_S: Final = 2.0  # for the other side to answer our close, or to take what is still to be sent


# RFC 6455, 7.4.1
PROTOCOL_ERROR: Final = 1002
NO_CODE: Final = 1005  # never on the wire: it was closed without a code
NEVER_SENT: Final = {NO_CODE, 1006, 1015}
INVALID_TEXT: Final = 1007
MESSAGE_TOO_BIG: Final = 1009


class Closed(Exception):
    """The socket is closed, by either side."""


class Socket(WSListener):
    """Give texts by `await receive()`; bytes are a binary message."""

    def __init__(self, message_bytes_max: int, close_s: float = CLOSE_S) -> None:
        self.heard_at = time.monotonic()
        self.pinged = False
        self.close_code: int | None = None
        self._message_bytes_max = message_bytes_max
        self._close_s = close_s
        self._transport: WSTransport | None = None
        self._texts: deque[str | bytes] = deque()
        self._parts: bytearray | None = None  # of a message that comes in several frames
        self._parts_binary = False
        self._waiting: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self.paused = False  # nothing is read; so nothing can be heard either
        self._closed = False
        self._closing = False  # we have said so

    # --- what picows calls ---

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.heard_at = time.monotonic()
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            # RFC 6455, 5.2: bits of extensions, and none was agreed on.
            self.close_soon(PROTOCOL_ERROR, "no extension was agreed on")
        elif (
            kind != WSMsgType.CLOSE and transport.close_handshake and transport.close_handshake.sent
        ):
            # We have closed; picows goes on parsing, even what it has refused as too big.
            return
        elif kind == WSMsgType.TEXT and frame.fin and self._parts is None:
            try:
                self._take(frame.get_payload_as_utf8_text())
            except UnicodeDecodeError:
                self.close_soon(INVALID_TEXT, "not UTF-8")
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._gather(kind, frame.get_payload_as_bytes(), last=frame.fin)
        elif kind == WSMsgType.CLOSE:
            payload = frame.get_payload_as_bytes()
            if int.from_bytes(payload[:2], "big") in NEVER_SENT:
                self.close_soon(PROTOCOL_ERROR, "no close code")
                return
            self.close_code = int.from_bytes(payload[:2], "big") if payload else NO_CODE
            transport.send(WSMsgType.CLOSE, payload[:2])  # echoed, as RFC 6455, 5.5.1 has it
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._closed = True
        if self.close_code is None and transport.close_handshake:
            # picows has closed it itself: too big, or no WebSocket at all.
            told = transport.close_handshake.sent or transport.close_handshake.recv
            self.close_code = int(told.code) if told else None  # type: ignore[call-overload]
        self._wake()
        if self._writable and not self._writable.done():
            self._writable.set_result(None)

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = asyncio.get_running_loop().create_future()
        # Each ping is owed a pong: who takes none may send no more. Silent then, it is dropped.
        self._underlying().pause_reading()

    def resume_writing(self) -> None:
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
        if not self.paused:
            self._read_on()

    # --- what the gateway calls ---

    async def receive(self) -> str | bytes:
        """The next message. Raises Closed when there is none and will be none."""
        while not self._texts:
            if self._closed:
                raise Closed
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        text = self._texts.popleft()
        if self.paused and len(self._texts) < QUEUE_MAX:
            self.paused = False
            if self._writable is None:
                self._read_on()
        return text

    async def send(self, text: str | bytes) -> None:
        """Wait until the charger takes what is sent. Raises Closed."""
        if self._closed or self._transport is None:
            raise Closed
        self._transport.send(WSMsgType.TEXT, text)
        if self._writable is not None:
            # Whoever takes nothing is cut off (connections.drop_slow), which ends this too.
            await asyncio.shield(self._writable)
            if self._closed:
                raise Closed

    @property
    def waiting(self) -> int:
        """Messages read and not taken yet."""
        return len(self._texts)

    @property
    def connected(self) -> bool:
        return self._transport is not None and not self._closed

    def ping(self) -> None:
        if self._transport and not self._closed:
            self._transport.send_ping()

    def close_soon(self, code: int, reason: str) -> None:
        """Say why and close; the transport goes after `close_s` even if nobody answers."""
        if self._closed or self._closing or self._transport is None:
            return
        self._closing = True
        self.close_code = code
        self._transport.send_close(code, reason[:120])  # type: ignore[arg-type]
        asyncio.get_running_loop().call_later(self._close_s, self._transport.disconnect, False)

    async def close(self, code: int, reason: str) -> None:
        """Say why, and wait until it is closed."""
        self.close_soon(code, reason)
        if self._transport:
            await self._transport.wait_disconnected()

    def abort(self) -> None:
        if self._transport:
            self._transport.disconnect(False)

    def _underlying(self) -> asyncio.Transport:
        assert self._transport
        transport: asyncio.Transport = self._transport.underlying_transport
        return transport

    def _read_on(self) -> None:
        self.heard_at = time.monotonic()  # nothing could be heard meanwhile
        self._underlying().resume_reading()

    def _take(self, text: str | bytes) -> None:
        self._texts.append(text)
        if len(self._texts) >= QUEUE_MAX and not self.paused:
            self.paused = True
            self._underlying().pause_reading()
        self._wake()

    def _gather(self, kind: WSMsgType, part: bytes, *, last: bool) -> None:
        if (kind == WSMsgType.CONTINUATION) == (self._parts is None):
            self.close_soon(PROTOCOL_ERROR, "frames of two messages are mixed")
            return
        if self._parts is None:
            self._parts, self._parts_binary = bytearray(), kind == WSMsgType.BINARY
        self._parts += part
        if len(self._parts) > self._message_bytes_max:
            self.close_soon(MESSAGE_TOO_BIG, "the message is too big")
            self._parts.clear()
        elif last:
            whole, self._parts = bytes(self._parts), None
            try:
                self._take(whole if self._parts_binary else whole.decode())
            except UnicodeDecodeError:
                self.close_soon(INVALID_TEXT, "not UTF-8")

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)
