"""Connections that say nothing: few, not for long, and nobody else has to wait for them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from socket import socket
from typing import Any

import pki
import pytest
from gateway_wire import Wire, running_gateway
from prometheus_client import REGISTRY
from stack import Issuer, Servers, eventually

from common.tasks import Tasks
from csms_gateway import arrivals
from csms_gateway.arrivals import Arrivals
from csms_gateway.door import Door, Refusal, Request

PLACES = 8
PATIENT_S = 60  # who says nothing has a place until another needs it; nobody is late here
HEAD = b"GET /ocpp/S HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Port:
    number: int
    decide: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def peer(
        self, address: str = "127.0.0.1", **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.number, local_addr=(address, 0), **options
        )
        self.open.append(writer)
        return reader, writer

    async def silent(self, address: str = "127.0.0.1") -> asyncio.StreamReader:
        """Once it is accepted."""
        before = silent_now()
        reader, _ = await self.peer(address)
        await until(lambda: silent_now() in {before + 1, PLACES})
        return reader

    async def answered(self, **options: Any) -> bytes:
        reader, writer = await self.peer(**options)
        writer.write(HEAD)
        return await asyncio.wait_for(reader.readline(), 5)


def silent_now() -> float:
    return REGISTRY.get_sample_value("csms_gateway_silent_connections") or 0.0


def cut_off(why: str) -> float:
    name = "csms_gateway_door_cut_off_total"
    return REGISTRY.get_sample_value(name, {"why": why}) or 0.0


async def until(true: Any) -> None:
    async def looked() -> Any:
        return true()

    await eventually(looked)


@asynccontextmanager
async def opened(context: ssl.SSLContext | None = None) -> AsyncIterator[Port]:
    tasks, listener = Tasks(), socket()
    listener.bind(("127.0.0.1", 0))
    listener.setblocking(False)
    listener.listen()
    port = Port(listener.getsockname()[1])
    port.decide.set()

    async def ask(_: Request) -> Refusal:
        port.asked += 1
        await port.decide.wait()
        return Refusal(HTTPStatus.NOT_FOUND, "nobody is let in here")

    door = partial(Door, ask, tasks.spawn, PATIENT_S, 1024)
    here = Arrivals(PLACES, tasks.spawn, door)
    tasks.forever(partial(here.accept, listener, context), "accepting")
    try:
        yield port
    finally:
        for writer in port.open:
            writer.transport.abort()
        await until(lambda: silent_now() == 0)
        await tasks.stop()
        listener.close()


async def gone(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 0.2) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def test_R8_for_one_more_the_oldest_silent_connection_of_the_busiest_address_goes() -> None:
    async with opened() as port:
        patient = await port.silent("127.0.0.2")
        many = [await port.silent() for _ in range(PLACES - 1)]
        before = cut_off("room")
        for _ in range(2):
            assert b" 404 " in await port.answered(address="127.0.0.3")
        # Nothing was silent any more after the first: its place was free for the second.
        assert cut_off("room") == before + 1
        assert [await gone(one) for one in many] == [True] + [False] * (PLACES - 2)
        assert not await gone(patient)


async def test_R8_who_has_said_what_it_wants_takes_no_place() -> None:
    async with opened() as port:
        port.decide.clear()
        waiting = [asyncio.ensure_future(port.answered()) for _ in range(PLACES * 2)]
        await until(lambda: port.asked == PLACES * 2)
        assert silent_now() == 0
        port.decide.set()
        assert all(b" 404 " in answer for answer in await asyncio.gather(*waiting))


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, and a client's."""
    folder: Path = tmp_path_factory.mktemp("tls")
    root = pki.Authority("Servers")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*root.write(folder, "server", "localhost", server=True))
    return server, ssl.create_default_context(cadata=pki.pem(root.certificate).decode())


async def test_R8_a_tls_handshake_that_never_comes_ends_and_makes_room(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(contexts[0]) as port:
        many = [await port.silent() for _ in range(PLACES)]
        assert b" 404 " in await port.answered(
            address="127.0.0.2", ssl=contexts[1], server_hostname="localhost"
        )
        assert [await gone(one) for one in many] == [True] + [False] * (PLACES - 1)
        monkeypatch.setattr(arrivals, "HANDSHAKE_S", 0.3)
        before = cut_off("handshake")
        late = await port.silent()
        await asyncio.wait_for(late.read(), 3)
        await until(lambda: cut_off("handshake") == before + 1)


async def test_R8_a_crowd_that_says_nothing_keeps_no_charger_out(
    servers: Servers, issuer: Issuer
) -> None:
    async with running_gateway(servers, issuer, ocpp_silent_connections_max=16) as gateway:
        station = await gateway.add_station()
        number = int(gateway.url.split(":")[2].split("/")[0])
        port = Port(number)
        crowd = [await port.peer() for _ in range(100)]
        async with gateway.connect(station) as charger:
            assert "currentTime" in await Wire(charger).send("Heartbeat", {})
            still = [not await gone(reader) for reader, _ in crowd[::10]]
            assert sum(still) <= 2
            assert silent_now() <= 16
        for _, writer in crowd:
            writer.transport.abort()
