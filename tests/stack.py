"""A real Postgres and a real NATS for every test run, tokens, and services on real sockets."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import aftermath
import asyncpg
import httpx
import nats
import pytest
import uvicorn
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from nats.js.errors import NotFoundError
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from common import auth, bus, ids, migrate
from common.events import Event
from common.run import KEEP_ALIVE_S
from local_stack.servers import Nats, Postgres, free_port

# Of what takes a tenth of a second. A loaded machine may stop a process for seconds on end.
WAIT_S = 30.0


async def eventually(
    check: Callable[[], Awaitable[Any]], timeout_s: float = WAIT_S, every_s: float = 0.03
) -> Any:
    """Poll until check() gives something true; fail with its last value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = await check()
        if value:
            return value
        assert time.monotonic() < deadline, f"still {value!r} after {timeout_s} s"
        await asyncio.sleep(every_s)


async def published(nats_url: str, subject: str) -> list[bytes]:
    """All that was published of a subject until now, oldest first, however long reading it takes.

    What the outbox still holds is not: ask by eventually.
    """
    client = await nats.connect(nats_url)
    try:
        stream, name = client.jetstream(), bus.stream_of(subject)
        try:
            last = (await stream.get_last_msg(name, subject)).seq or 0
        except NotFoundError:
            return []
        found: list[bytes] = []
        number = 0
        reading = await stream.subscribe(subject, stream=name, ordered_consumer=True)
        while number < last:
            message = await reading.next_msg(timeout=WAIT_S)
            number = message.metadata.sequence.stream
            found.append(message.data)
        return found
    finally:
        await client.close()


class Servers:
    """One Postgres and one NATS for the run; every stack of services has a database of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.postgres = Postgres(home / "postgres", durable=False)
        self.nats = Nats(home / "nats", durable=False)

    async def database(self, name: str) -> str:
        admin = await asyncpg.connect(self.postgres.url())
        await admin.execute(f'create database "{name}"')
        await admin.close()
        return self.postgres.url(name)


async def allow_connections(servers: Servers, url: str, *, allowed: bool) -> None:
    """An outage of one database alone: no new connections, and the old ones are cut."""
    name = url.rpartition("/")[2]
    admin = await asyncpg.connect(servers.postgres.url())
    await admin.execute(f'alter database "{name}" allow_connections {str(allowed).lower()}')
    if not allowed:
        cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1"
        await admin.execute(cut, name)
    await admin.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    home = Path(tempfile.mkdtemp(prefix="csms-test-"))
    aftermath.perishable(home)
    home.chmod(0o755)  # the unprivileged user that runs Postgres passes through
    servers = Servers(home)
    servers.postgres.start()
    servers.nats.start()
    yield servers
    servers.postgres.stop()
    servers.nats.stop()
    shutil.rmtree(home, ignore_errors=True)  # the watcher removes what is written meanwhile


@asynccontextmanager
async def served(app: Any, port: int | None = None) -> AsyncIterator[str]:
    """Run an ASGI application on a real socket; give its URL."""
    port = port or free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
    )
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(server.serve())
        while not server.started:
            assert not running.done(), "the server did not start"
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True


@contextmanager
def _no_signals() -> Iterator[None]:
    yield


class Issuer:
    """Signs tokens as identity does, and publishes the key."""

    def __init__(self) -> None:
        self.key = OKPKey.generate_key("Ed25519", {"kid": "test", "use": "sig"})
        self.url = ""

    def jwks(self) -> dict[str, Any]:
        return dict(KeySet([self.key]).as_dict(private=False))

    def token(
        self, operator_id: UUID | None, *scopes: str, role: str = "operator-admin", **more: Any
    ) -> str:
        now = int(time.time())
        claims = {
            "iss": auth.ISSUER,
            "sub": "test",
            "role": role,
            "operator_id": str(operator_id) if operator_id else None,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + 600,
            **more,
        }
        header = {"alg": auth.ALGORITHM, "kid": "test"}
        return jwt.encode(header, claims, self.key, algorithms=[auth.ALGORITHM])

    def headers(self, operator_id: UUID | None, *scopes: str, **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(operator_id, *scopes, **more)}"}


@pytest.fixture(scope="session")
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()

    async def jwks(_: Any) -> JSONResponse:
        return JSONResponse(issuer.jwks())

    async with served(Starlette(routes=[Route("/jwks.json", jwks)])) as url:
        issuer.url = f"{url}/jwks.json"
        yield issuer


class Running:
    """One service on a socket with a database of its own."""

    def __init__(self, app: FastAPI, url: str, issuer: Issuer, nats_server: Nats) -> None:
        self.app = app
        self.url = url
        self.issuer = issuer
        self.nats_server = nats_server
        self.nats_url = nats_server.url
        self.http = httpx.AsyncClient(base_url=url, timeout=20)

    def as_(self, operator_id: UUID | None, *scopes: str, **more: Any) -> httpx.AsyncClient:
        """A client that calls with a token of these scopes."""
        headers = self.issuer.headers(operator_id, *scopes, **more)
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20)

    async def publish(self, *events: Event) -> None:
        """As another service's relay would."""
        client = await nats.connect(self.nats_url)
        for event in events:
            await client.jetstream().publish(
                event.subject,
                event.model_dump_json().encode(),
                headers={"Nats-Msg-Id": str(event.id)},
            )
        await client.close()


@asynccontextmanager
async def one_service(
    servers: Servers, issuer: Issuer, name: str, **settings: Any
) -> AsyncIterator[Running]:
    """Migrate and run one service with a NATS and a database for itself."""
    nats_server = Nats(servers.home / f"nats-{ids.uuid7().hex}", durable=False)
    nats_server.start()
    url = await servers.database(f"{name}-{ids.uuid7().hex[-12:]}")
    await asyncio.to_thread(migrate.upgrade, name, url)
    package = name.replace("-", "_")
    module = import_module(f"{package}.app")
    own = import_module(f"{package}.settings").Settings(
        database_url=url, nats_url=nats_server.url, jwks_url=issuer.url, **settings
    )
    app = module.create_app(own)
    try:
        async with served(app) as base:
            running = Running(app, base, issuer, nats_server)

            async def ready() -> bool:
                return (await running.http.get("/readyz")).status_code == 200

            await eventually(ready)
            yield running
            await running.http.aclose()
    finally:
        nats_server.stop()
