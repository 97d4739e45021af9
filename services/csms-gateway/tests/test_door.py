"""The OCPP port's door and the sockets behind it, by bytes: RFC 6455 from the other side."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest
from gateway_wire import Gateway
from stack import eventually

from common.tasks import Tasks
from csms_gateway import connections
from csms_gateway.door import HEAD_BYTES_MAX, Ask, Come, Door, Refusal, Request
from csms_gateway.sockets import QUEUE_MAX, Closed, Socket

BYTES_MAX = 64 * 1024
OPEN_S = 0.6  # of a door that is to be late
PATIENT_S = 60.0  # and of the others: whoever stops the machine for a second is no charger
CLOSE_S = 0.3
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
TEXT, CONTINUATION, CLOSE, PING, PONG = 0x81, 0x80, 0x88, 0x89, 0x8A


def frame(first: int, payload: bytes = b"") -> bytes:
    """Masked with zeros, so it changes nothing."""
    if len(payload) < 126:
        size = bytes([0x80 | len(payload)])
    elif len(payload) < 65_536:
        size = b"\xfe" + len(payload).to_bytes(2, "big")
    else:
        size = b"\xff" + len(payload).to_bytes(8, "big")
    return bytes([first]) + size + bytes(4) + payload


def head(path: str = "/ocpp/S", more: str = "") -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: ocpp1.6\r\n{more}\r\n"
    ).encode()


@dataclass
class Peer:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def push(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def answered(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)

    async def frame(self) -> tuple[int, bytes]:
        first, size = await asyncio.wait_for(self.reader.readexactly(2), 5)
        assert size < 126, "ours are short here, and not masked"
        return first, await asyncio.wait_for(self.reader.readexactly(size), 5)

    async def gone(self, within_s: float = 5) -> bytes:
        """What came before the end."""
        try:
            return await asyncio.wait_for(self.reader.read(), within_s)
        except ConnectionError:
            return b""


@dataclass
class House:
    """A door with a listener behind it that does as the test says."""

    port: int
    sockets: list[Socket] = field(default_factory=list)
    taken: list[str | bytes] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)

    async def peer(self) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self.peers.append(peer)
        return peer

    async def entered(self) -> Peer:
        peer = await self.peer()
        peer.push(head())
        assert b" 101 " in await peer.answered()
        return peer


@asynccontextmanager
async def house(
    decide: Callable[[], Any] | None = None,
    serve: Callable[[Socket], Any] | None = None,
    open_s: float = PATIENT_S,
) -> AsyncIterator[House]:
    built = House(0)

    async def take_all(socket: Socket) -> None:
        built.sockets.append(socket)
        try:
            while True:
                built.taken.append(await socket.receive())
        except Closed:
            pass

    async def ask(request: Request) -> Come | Refusal:
        built.asked.append(request)
        refusal = await decide() if decide else None
        return refusal or Come("ocpp1.6", serve or take_all)

    async with opened(ask, open_s) as built.port:
        try:
            yield built
        finally:
            for peer in built.peers:
                peer.writer.transport.abort()
            await asyncio.sleep(0.01)  # for the transports to be gone


@asynccontextmanager
async def opened(ask: Ask, open_s: float) -> AsyncIterator[int]:
    tasks = Tasks()
    server = await asyncio.get_running_loop().create_server(
        lambda: Door(ask, tasks.spawn, open_s, BYTES_MAX, lambda _: None, CLOSE_S), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await tasks.stop()


async def until(true: Callable[[], Any]) -> None:
    async def looked() -> Any:
        return true()

    await eventually(looked)


async def test_what_comes_with_the_request_is_read_after_it_in_order() -> None:
    async with house() as built:
        peer = await built.peer()
        peer.push(head(), frame(TEXT, b"one"), frame(TEXT, b"two"))
        assert b" 101 " in await peer.answered()
        await until(lambda: len(built.taken) == 2)
        assert built.taken == ["one", "two"]
        assert len(built.asked) == 1


async def test_a_request_byte_by_byte_is_one_request() -> None:
    async with house() as built:
        peer = await built.peer()
        for byte in head():
            peer.push(bytes([byte]))
            await peer.writer.drain()
        assert b" 101 " in await peer.answered()
        assert len(built.asked) == 1


@pytest.mark.parametrize("sent", [b"", head()[:-2]])
async def test_a_request_that_never_ends_is_cut_off(sent: bytes) -> None:
    async with house(open_s=OPEN_S) as built:
        peer = await built.peer()
        peer.push(sent)
        assert await peer.gone(OPEN_S + 10) == b""
        assert built.asked == []


@pytest.mark.parametrize("ended", [b"\r\n\r\n", b""])
async def test_a_head_that_is_too_long_is_refused_whether_it_ends_or_not(ended: bytes) -> None:
    async with house() as built:
        peer = await built.peer()
        peer.push(head()[:-2] + b"X-Long: " + b"x" * HEAD_BYTES_MAX + ended)
        assert (await peer.gone()).startswith(b"HTTP/1.1 431 ")
        assert built.asked == []


@pytest.mark.parametrize(
    "sent", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nno header\r\n\r\n", b"\x00\xff\r\n\r\n"]
)
async def test_what_is_no_request_is_told_so_and_closed(sent: bytes) -> None:
    async with house() as built:
        peer = await built.peer()
        peer.push(sent)
        assert (await peer.gone()).startswith(b"HTTP/1.1 400 ")


async def test_a_request_for_no_websocket_is_refused_and_closed_and_nobody_serves_it() -> None:
    async with house() as built:
        peer = await built.peer()
        peer.push(b"GET /ocpp/S HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 5000)
        assert (await peer.gone()).startswith(b"HTTP/1.1 400 ")
        assert built.sockets == []


async def test_a_refusal_closes_the_connection() -> None:
    async def refuse() -> Refusal:
        return Refusal(HTTPStatus.UNAUTHORIZED, "no", {"WWW-Authenticate": "Basic"})

    async with house(refuse) as built:
        peer = await built.peer()
        peer.push(head())
        told = await peer.gone()
        assert told.startswith(b"HTTP/1.1 401 ") and b"WWW-Authenticate: Basic\r\n" in told


async def test_an_error_while_it_is_decided_leaves_no_socket_open() -> None:
    async def fail() -> None:
        raise ValueError("planted")

    async with house(fail, open_s=OPEN_S) as built:
        peer = await built.peer()
        peer.push(head())
        assert await peer.gone(OPEN_S + 10) == b""


async def test_who_goes_while_it_is_decided_is_served_by_nobody_for_long() -> None:
    asking = asyncio.Event()

    async def slowly() -> None:
        await asking.wait()

    async with house(slowly) as built:
        peer = await built.peer()
        peer.push(head())
        await until(lambda: built.asked)
        peer.writer.transport.abort()
        asking.set()
        await asyncio.sleep(0.2)
        await until(lambda: not any(socket.connected for socket in built.sockets))


async def test_a_decision_that_takes_too_long_ends_in_nothing() -> None:
    async def never() -> None:
        await asyncio.sleep(OPEN_S * 2)

    async with house(never, open_s=OPEN_S) as built:
        peer = await built.peer()
        peer.push(head())
        assert await peer.gone() == b""
        await asyncio.sleep(OPEN_S * 1.5)
        assert built.sockets == []


async def test_serving_that_fails_closes_the_socket() -> None:
    async def fail(_: Socket) -> None:
        raise ValueError("the database is away")

    async with house(serve=fail) as built:
        peer = await built.entered()
        first, payload = await peer.frame()
        assert (first, payload[:2]) == (CLOSE, (1011).to_bytes(2, "big"))
        assert await peer.gone() == b""


async def test_a_flood_that_begins_with_the_request_is_held_back_by_tcp() -> None:
    """While the station's generation is written nobody takes a message."""
    held: list[Socket] = []

    async def wait(socket: Socket) -> None:
        held.append(socket)
        await asyncio.sleep(60)

    async with house(serve=wait) as built:
        peer = await built.peer()
        one = frame(TEXT, b"x" * 1000)
        peer.push(head(), one * (QUEUE_MAX + 2))
        assert b" 101 " in await peer.answered()
        await until(lambda: held)
        before = held[0].waiting
        peer.push(one * 4000)
        await asyncio.sleep(0.3)
        assert held[0].waiting == before


async def test_who_pings_and_never_reads_the_pongs_is_read_no_further() -> None:
    """Every ping is owed a pong; unread ones would fill our memory."""
    loop = asyncio.get_running_loop()
    async with house() as built:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", built.port))
            deaf.setblocking(False)
            await loop.sock_sendall(deaf, head())
            assert b" 101 " in await loop.sock_recv(deaf, 1000)
            await until(lambda: built.sockets)
            pings = frame(PING, b"x" * 125) * 1000

            async def flood() -> None:
                for _ in range(300):  # 39 MB
                    await asyncio.wait_for(loop.sock_sendall(deaf, pings), 3)

            with pytest.raises(TimeoutError):
                await flood()
            assert built.sockets[0]._underlying().get_write_buffer_size() < 2**20
            # Who reads again is heard again.
            heard_at = built.sockets[0].heard_at
            async with asyncio.timeout(10):
                while built.sockets[0].heard_at == heard_at:
                    await loop.sock_recv(deaf, 2**16)


async def test_a_message_in_parts_with_a_ping_between_them_is_one_message() -> None:
    async with house() as built:
        peer = await built.entered()
        peer.push(
            frame(0x01, "gr\u00fc".encode()[:3]), frame(PING, b"p"),
            frame(0x00, "\u00fc".encode()[1:]), frame(CONTINUATION, b"n"),
        )  # fmt: skip
        assert await peer.frame() == (PONG, b"p")
        await until(lambda: built.taken)
        assert built.taken == ["gr\u00fcn"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(CONTINUATION, b"x"), 1002),
        (frame(0x01, b"x") + frame(TEXT, b"y"), 1002),
        (frame(0x83, b"x"), 1002),  # an opcode that is none
        (frame(0xC1, b"x"), 1002),  # RSV1: compressed, which nobody agreed on
        (frame(0x09, b"x"), 1002),  # a ping in parts
        (b"\x81\x01x", 1002),  # not masked
        (frame(PING, b"x" * 126), 1002),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(0x01, b"\xc3") + frame(CONTINUATION, b"("), 1007),
        (frame(TEXT, b"x" * (BYTES_MAX + 1)), 1009),
        (frame(0x01, b"x" * BYTES_MAX) + frame(CONTINUATION, b"x"), 1009),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, (1005).to_bytes(2, "big")), 1002),
        (frame(CLOSE, (1006).to_bytes(2, "big")), 1002),
        (frame(CLOSE, (999).to_bytes(2, "big")), 1002),
        (frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007),
    ],
)
async def test_a_breach_of_the_protocol_is_closed_with_its_code(sent: bytes, code: int) -> None:
    async with house() as built:
        peer = await built.entered()
        peer.push(sent)
        first, payload = await peer.frame()
        assert (first, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
        assert await peer.gone() == b""
        await until(lambda: not built.sockets[0].connected)
        assert built.sockets[0].close_code == code
        assert built.taken == []


@pytest.mark.parametrize(
    "payload", [b"", *(n.to_bytes(2, "big") for n in (1000, 1001, 3000, 4999))]
)
async def test_a_close_is_echoed_and_the_connection_ends(payload: bytes) -> None:
    async with house() as built:
        peer = await built.entered()
        peer.push(frame(TEXT, b"last words"), frame(CLOSE, payload))
        assert await peer.frame() == (CLOSE, payload)
        assert await peer.gone() == b""
        await until(lambda: not built.sockets[0].connected)
        # RFC 6455, 7.1.5: without a code it is 1005, which is not a network that went away.
        assert built.sockets[0].close_code == (int.from_bytes(payload, "big") or 1005)
        assert built.taken == ["last words"]


async def test_our_close_is_said_once_and_ends_without_an_answer() -> None:
    async with house() as built:
        peer = await built.entered()
        await until(lambda: built.sockets)
        built.sockets[0].close_soon(1012, "go")
        built.sockets[0].close_soon(1008, "again")
        assert await peer.frame() == (CLOSE, (1012).to_bytes(2, "big") + b"go")
        assert await peer.gone() == b""
        assert built.sockets[0].close_code == 1012


async def test_who_is_gone_without_a_close_ends_the_socket_without_a_code() -> None:
    async with house() as built:
        peer = await built.entered()
        await until(lambda: built.sockets)
        peer.writer.transport.abort()
        await until(lambda: not built.sockets[0].connected)
        assert built.sockets[0].close_code is None


async def test_a_station_whose_generation_cannot_be_written_is_closed_and_comes_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = await gateway.add_station()

    async def fail(*_: Any) -> int:
        raise OSError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(connections.Held, "open_generation", fail)
        async with gateway.connect(station) as socket:
            await asyncio.wait_for(socket.wait_closed(), 5)
            assert socket.close_code == 1011
    async with gateway.connect(station) as socket:
        await socket.send(json.dumps([2, "1", "Heartbeat", {}]))
        assert "currentTime" in await asyncio.wait_for(socket.recv(), 5)
