"""Bad input: the right error or close code, a counter, and the next charger unharmed."""

import asyncio
import base64
import json
import socket as sockets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import OPERATOR, PASSWORD, Gateway, Wire, running_gateway
from stack import Issuer, Servers, eventually
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from common.tasks import cancelled
from csms_gateway.charger import BAD_FRAMES_MAX
from csms_gateway.tables import Message

VERSIONS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
WRITE_TIMEOUT_S = 4.0
PING_S = 2.0
TICK_S = 0.05


@pytest.fixture(scope="module")
async def impatient(servers: Servers, issuer: Issuer) -> AsyncIterator[Gateway]:
    """A gateway that waits seconds where others wait half a minute."""
    async with running_gateway(
        servers, issuer, ocpp_write_timeout_s=WRITE_TIMEOUT_S, ocpp_ping_s=PING_S
    ) as gateway:
        yield gateway


@asynccontextmanager
async def bystander(gateway: Gateway) -> AsyncIterator[None]:
    """Another charger that is answered at once all the while.

    How long it waits is counted by the loop's own turns and by the processor's time: a machine that
    is stopped, or busy with others, is not the gateway's doing.
    """
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        waits: list[float] = []
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(TICK_S)
                ticks += 1

        async def beat() -> None:
            while True:
                began, began_s = ticks, time.process_time()
                assert "currentTime" in await wire.send("Heartbeat", {})
                waits.append(max((ticks - began) * TICK_S, time.process_time() - began_s))
                await asyncio.sleep(TICK_S)

        beating, ticking = asyncio.ensure_future(beat()), asyncio.ensure_future(tick())
        await asyncio.sleep(0.2)
        try:
            yield
            await asyncio.sleep(0.2)
            assert not beating.done()
        finally:
            await cancelled(ticking)
            await cancelled(beating)
        assert len(waits) > 3
        assert max(waits) < 2, "the other charger had to wait"


async def counted(gateway: Gateway, name: str, **labels: str) -> float:
    """The value of a counter in /metrics."""
    wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
    text = (await gateway.service.http.get("/metrics")).text
    for line in text.splitlines():
        if line.startswith(f"{name}{{{wanted}}}"):
            return float(line.rpartition(" ")[2])
    return 0.0


@asynccontextmanager
async def counts(gateway: Gateway, name: str, **labels: str) -> AsyncIterator[None]:
    before = await counted(gateway, name, **labels)
    yield

    async def more() -> bool:
        return await counted(gateway, name, **labels) > before

    await eventually(more)


async def error_for(socket: ClientConnection, frame: str) -> Any:
    """The CALLERROR that a frame gets, or None if it gets no answer before the next call's."""
    await socket.send(frame)
    await socket.send(json.dumps([2, "after", "Heartbeat", {}]))
    found = None
    while True:
        answer = json.loads(await asyncio.wait_for(socket.recv(), 10))
        if answer[1] == "after" and answer[0] == 3:
            return found
        assert answer[0] == 4
        assert len(answer) == 5 and isinstance(answer[3], str) and answer[4] == {}
        found = answer[1:3]


LONG_ID = "x" * 37


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_no_frame_gets_the_error_of_its_version(
    gateway: Gateway, version: str
) -> None:
    first = version == "ocpp1.6"
    framework = None if first else ["-1", "RpcFrameworkError"]
    unknown_type = None if first else ["1", "MessageTypeNotSupported"]
    expected: list[tuple[str, Any]] = [
        ("hello", framework),
        ("{}", framework),
        ("[]", framework),
        ('[2,"1","Heartbeat",{}', framework),
        ('[9,"1","Heartbeat",{}]', unknown_type),
        ('["2","1","Heartbeat",{}]', unknown_type),
        ('[2.0,"1","Heartbeat",{}]', unknown_type),
        ('[2,"1"]', ["1", "FormationViolation" if first else "RpcFrameworkError"]),
        ('[2,"1",7,{}]', ["1", "FormationViolation" if first else "RpcFrameworkError"]),
        (f'[2,"{LONG_ID}","Heartbeat",{{}}]',
         ["-1", "FormationViolation" if first else "RpcFrameworkError"]),
        ('[2,"1","Heartbeat",[]]', ["1", "FormationViolation" if first else "FormatViolation"]),
        ('[2,"1","Heartbeat","x"]', ["1", "FormationViolation" if first else "FormatViolation"]),
        # Never an answer to an answer.
        ('[3,"1",[]]', None),
        ('[4,"1"]', None),
    ]  # fmt: skip
    if version == "ocpp2.0.1":
        # CALLRESULTERROR and SEND came with 2.1.
        expected += [
            ('[5,"1","InternalError","",{}]', unknown_type),
            ('[6,"1","NotifyPeriodicEventStream",{}]', unknown_type),
        ]
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[version]) as socket:
        for frame, error in expected:
            assert await error_for(socket, frame) == error, frame


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("MakeCoffee", {}, "NotImplemented"),
        ("heartbeat", {}, "NotImplemented"),
        ("BootNotificationResponse", {}, "NotImplemented"),
        ("Authorize", {}, "Occurence"),
        ("Authorize", {"idTag": 5, "idToken": 5}, "TypeConstraintViolation"),
        ("Authorize", {"idTag": "x" * 21, "idToken": {"idToken": "x" * 300, "type": "Central"}},
         "PropertyConstraintViolation"),
    ],
)  # fmt: skip
async def test_a_malformed_call_gets_the_code_of_its_version(
    gateway: Gateway, version: str, action: str, payload: Any, code: str
) -> None:
    if code == "Occurence":  # 1.6 misspells it
        code = f"Occur{'' if version == 'ocpp1.6' else 'r'}enceConstraintViolation"
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[version]) as socket:
        known = {"idTag"} if version == "ocpp1.6" else {"idToken"}
        mine = {key: value for key, value in payload.items() if key in known}
        assert (await Wire(socket).send(action, mine))[0] == code
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b'[2,"1","Heartbeat",{}]', 1003),
        (" " * (1 << 20), 1009),
        ('[2,"1","DataTransfer",{"vendorId":"' + "x" * (3 << 20) + '"}]', 1009),
    ],
)
async def test_what_cannot_be_taken_closes_its_own_socket_alone(
    gateway: Gateway, sent: str | bytes, code: int
) -> None:
    station = await gateway.add_station()
    async with (
        counts(gateway, "csms_gateway_closed_total", code=str(code)),
        bystander(gateway),
        gateway.connect(station) as socket,
    ):
        with suppress(ConnectionClosed):
            await socket.send(sent)
        await asyncio.wait_for(socket.wait_closed(), 5)
        assert socket.close_code == code
    async with gateway.connect(station) as socket:
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})


async def test_a_flood_of_bad_frames_is_ended(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with (
        counts(gateway, "csms_gateway_strange_frames_total", what="bad framework"),
        counts(gateway, "csms_gateway_closed_total", code="1008"),
        bystander(gateway),
        gateway.connect(station, subprotocols=["ocpp2.0.1"], max_queue=None) as socket,
    ):
        with suppress(ConnectionClosed):
            for _ in range(5000):
                await socket.send("garbage")
        logged = await gateway.rows(Message, station)
        assert len(logged) <= 2 * (BAD_FRAMES_MAX + 1)
        await asyncio.wait_for(socket.wait_closed(), 10)
        assert socket.close_code == 1008


async def test_answers_to_calls_never_made_and_twice_are_counted_and_harmless(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with (
        counts(gateway, "csms_gateway_strange_frames_total", what="answer"),
        gateway.connect(station) as socket,
    ):
        for number in range(200):
            await socket.send(json.dumps([3, f"never-{number}", {"status": "Accepted"}]))
            await socket.send(json.dumps([4, f"never-{number}", "InternalError", "", {}]))
        async with gateway.service.as_(OPERATOR, "commands:write") as api:
            path = f"/v1/stations/{station}/commands"
            asked = asyncio.ensure_future(
                api.post(path, json={"type": "reset"}, params={"wait_s": 10})
            )
            call = json.loads(await asyncio.wait_for(socket.recv(), 5))
            # The first answer counts, whatever the second says.
            await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
            await socket.send(json.dumps([3, call[1], {"status": "Rejected"}]))
            await socket.send(json.dumps([4, call[1], "InternalError", "", {}]))
            assert (await asked).json()["state"] == "accepted"
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})


async def test_wrong_paths_and_subprotocols_are_refused_and_counted(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with counts(gateway, "csms_gateway_refused_total", why="Not Found"):
        for path in ("", "/../../etc/passwd", f"/{station}/x", "/%00", "/" + "x" * 5000):
            with pytest.raises(InvalidStatus) as refused:
                await gateway.connect(station + path if path else "")
            assert refused.value.response.status_code == 404, path
    async with counts(gateway, "csms_gateway_refused_total", why="subprotocol"):
        for offered in (["ocpp1.5"], ["soap"], None):
            async with gateway.connect(station, subprotocols=offered) as socket:
                await asyncio.wait_for(socket.wait_closed(), 5)
                assert socket.close_code == 1002
    # The charger's own order decides among those that are known.
    async with gateway.connect(station, subprotocols=["ocpp9", "ocpp2.0.1", "ocpp1.6"]) as socket:
        assert socket.subprotocol == "ocpp2.0.1"


@pytest.fixture
def opened() -> Iterator[list[sockets.socket]]:
    """Closed at the end, whatever the test came to."""
    made: list[sockets.socket] = []
    yield made
    for one in made:
        one.close()


class Raw:
    """A charger's end of a socket without a WebSocket library: it reads only when told to."""

    def __init__(self, gateway: Gateway, station: str, opened: list[sockets.socket]) -> None:
        self._address = gateway.url.removeprefix("ws://").partition("/")[0]
        self.station = station
        self.socket = sockets.socket()
        opened.append(self.socket)
        # So that it is soon full, and the gateway's own buffers fill behind it.
        self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        self.socket.setblocking(False)

    async def open(self) -> None:
        host, _, port = self._address.partition(":")
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, (host, int(port)))
        basic = base64.b64encode(f"{self.station}:{PASSWORD}".encode()).decode()
        request = (
            f"GET /ocpp/{self.station} HTTP/1.1\r\nHost: {self._address}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
            f"Authorization: Basic {basic}\r\n\r\n"
        )
        await loop.sock_sendall(self.socket, request.encode())
        assert b" 101 " in await loop.sock_recv(self.socket, 2048)

    @staticmethod
    def frame(text: str) -> bytes:
        """A masked text frame; the mask is zero, so it changes nothing."""
        data = text.encode()
        assert 126 <= len(data) < 65_536
        return b"\x81\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data

    def push(self, data: bytes) -> int:
        """How much of it the network took at once."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0


async def test_a_charger_that_never_reads_is_held_back_then_dropped(
    impatient: Gateway, opened: list[sockets.socket]
) -> None:
    station = await impatient.add_station()
    raw = Raw(impatient, station, opened)
    await raw.open()
    held = impatient.service.app.state.beside
    charger = await eventually(lambda: looked(held, station))
    # The answer to an unknown action repeats its name.
    one = raw.frame(json.dumps([2, "m", "X" * 200, {}]))
    async with (
        counts(impatient, "csms_gateway_cut_off_total", why="slow reader"),
        bystander(impatient),
    ):
        taken, stalled = 0, 0
        for _ in range(2000):
            took = raw.push(one * 100)
            taken += took
            stalled = 0 if took else stalled + 1
            if stalled > 20:
                break
            await asyncio.sleep(0.005)
        # Back-pressure: long before five thousand calls of it are in, it can send no more … and
        # what is under way is in the network's buffers, not in our memory.
        assert stalled > 20, f"{taken} bytes were taken"
        assert charger.socket.waiting < 3000

        async def dropped() -> bool:
            return await looked(held, station) is None

        await eventually(dropped)


async def looked(held: Any, station: str) -> Any:
    return held.get(station)


async def test_five_thousand_calls_without_reading_an_answer(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with bystander(gateway), gateway.connect(station, max_queue=None) as socket:
        for number in range(5000):
            await socket.send(json.dumps([2, f"n{number}", "Heartbeat", {}]))
        answered = [json.loads(await asyncio.wait_for(socket.recv(), 30)) for _ in range(5000)]
    # Each once, in order: nothing was dropped to save memory.
    assert [frame[1] for frame in answered] == [f"n{number}" for number in range(5000)]


async def test_a_command_to_a_charger_that_never_reads_ends(
    impatient: Gateway, opened: list[sockets.socket]
) -> None:
    station = await impatient.add_station()
    raw = Raw(impatient, station, opened)
    await raw.open()
    one = raw.frame(json.dumps([2, "m", "X" * 200, {}]))
    for _ in range(400):
        raw.push(one * 100)
        await asyncio.sleep(0.002)
    async with impatient.service.as_(OPERATOR, "commands:write") as api:
        answer = await api.post(
            f"/v1/stations/{station}/commands", json={"type": "reset"}, params={"wait_s": 15}
        )
    assert answer.json()["state"] == "failed", answer.text


async def test_a_half_open_socket_is_noticed_and_closed(
    impatient: Gateway, opened: list[sockets.socket]
) -> None:
    station = await impatient.add_station()
    raw = Raw(impatient, station, opened)
    await raw.open()
    # It answers no ping and sends nothing: its network is gone.
    async with counts(impatient, "csms_gateway_closed_total", code="1011"):

        async def closed() -> Any:
            async with impatient.service.as_(OPERATOR, "status:read") as api:
                found = (await api.get(f"/v1/stations/{station}/connection")).json()
            return found.get("closed_at")  # that it has come may not be written down yet

        assert await eventually(closed)


async def test_a_socket_that_never_shakes_hands_is_nobody_s_harm(gateway: Gateway) -> None:
    host, _, port = gateway.url.removeprefix("ws://").partition("/")[0].partition(":")
    idle = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
    garbage = [await asyncio.open_connection(host, int(port)) for _ in range(5)]
    async with bystander(gateway):
        for _, writer in garbage:
            writer.write(b"\x16\x03\x01\x02\x00\x01" + b"\xff" * 4096 + b"\r\n\r\n")
            await writer.drain()
        for reader, _ in garbage:
            with suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 10)
    for _, writer in (*idle, *garbage):
        writer.close()


async def test_chargers_that_come_and_go_at_once_leave_nothing_behind(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with bystander(gateway):
        for _ in range(30):
            socket = await gateway.connect(station)
            await socket.send(json.dumps([2, str(uuid4()), "Heartbeat", {}]))
            socket.transport.abort()

    async def gone() -> bool:
        return gateway.service.app.state.beside.get(station) is None

    await eventually(gone)
    async with gateway.connect(station) as socket:
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})
