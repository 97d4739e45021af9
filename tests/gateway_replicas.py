"""Gateway replicas as processes on one database and one NATS, behind a balancer for chargers."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import nats
from gateway_wire import Identity
from stack import Issuer, Servers, eventually
from websockets.asyncio.client import connect

from common import bus, credentials, ids, migrate
from common.authorize import SUBJECT
from common.events import EVENTS, Event
from common.tasks import cancelled
from local_stack.servers import Nats, free_port

OPERATOR = uuid4()
PASSWORD = credentials.new_secret()
# Three missed and a replica is taken for dead: no shorter than a busy machine may stop it, or its
# database, for.
BEAT_S = 2.0


class Replica:
    """One process."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.rest_port, self.ocpp_port = free_port(), free_port()
        self._log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "common.run", "serve", "csms-gateway"],
                env=environment
                | {
                    "CSMS_CSMS_GATEWAY_PORT": str(self.rest_port),
                    "CSMS_OCPP_PORT": str(self.ocpp_port),
                },
                stdout=out,
                stderr=out,
            )
        self.url = f"http://127.0.0.1:{self.rest_port}"

    @property
    def words(self) -> str:
        return self._log.read_text()

    async def readiness(self) -> int:
        """The status of /readyz; 0: nobody listens."""
        assert self.process.poll() is None or self.process.returncode <= 0, self.words
        async with httpx.AsyncClient(timeout=5) as api:
            try:
                return (await api.get(f"{self.url}/readyz")).status_code
            except httpx.HTTPError:
                return 0

    async def ready(self) -> None:
        async def there() -> bool:
            return await self.readiness() == 200

        await eventually(there, 120)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class Replicas:
    """Two of them, and what a test needs around."""

    def __init__(self, database: str, nats_server: Nats, issuer: Issuer, home: Path) -> None:
        self.database = database
        self.nats_server = nats_server
        self.issuer = issuer
        self.home = home
        self.identity = Identity()
        self.events: list[Event] = []
        self.running: list[Replica] = []
        self.balancer_port = free_port()

    def start(self, **settings: Any) -> Replica:
        own = {f"CSMS_{name.upper()}": str(value) for name, value in settings.items()}
        environment = {
            **os.environ,
            "CSMS_DATABASE_URL": self.database,
            "CSMS_NATS_URL": self.nats_server.url,
            "CSMS_JWKS_URL": self.issuer.url,
            "CSMS_LOG_LEVEL": "warning",
            "CSMS_FINAL_COST_WAIT_S": "0",
            "CSMS_GATEWAY_BEAT_S": str(BEAT_S),
            **own,
        }
        replica = Replica(environment, self.home / f"gateway-{uuid4().hex}.log")
        self.running.append(replica)
        return replica

    def connect(self, replica: Replica, station_id: str, **options: Any) -> connect:
        basic = base64.b64encode(f"{station_id}:{PASSWORD}".encode()).decode()
        options.setdefault("subprotocols", ["ocpp1.6"])
        return connect(
            f"ws://127.0.0.1:{replica.ocpp_port}/ocpp/{station_id}",
            additional_headers={"Authorization": f"Basic {basic}"},
            compression=None,
            open_timeout=60,
            **options,
        )

    def as_operator(self, replica: Replica, *scopes: str) -> httpx.AsyncClient:
        headers = self.issuer.headers(OPERATOR, *scopes)
        return httpx.AsyncClient(base_url=replica.url, headers=headers, timeout=30)

    async def command(self, replica: Replica, station_id: str, **query: Any) -> dict[str, Any]:
        """Ask for a reset."""
        async with self.as_operator(replica, "commands:write") as api:
            path = f"/v1/stations/{station_id}/commands"
            answer = await api.post(path, json={"type": "reset"}, params=query)
            assert answer.status_code in (200, 202), answer.text
            found: dict[str, Any] = answer.json()
            return found

    async def state(self, command: dict[str, Any]) -> str:
        return str(await self.value("select state from command where id = $1", command["id"]))

    async def value(self, query: str, *values: Any) -> Any:
        db = await asyncpg.connect(
            self.database, server_settings={"search_path": "csms_gateway"}, timeout=20
        )
        try:
            return await db.fetchval(query, *values)
        finally:
            await db.close()

    async def add_stations(self, count: int) -> list[str]:
        """As registry's events would, but a thousand at once."""
        names = [f"S-{ids.uuid7().hex[-16:]}" for _ in range(count)]
        await self.value(
            "insert into station (station_id, operator_id, version, active, evses,"
            " credential_version, password_hash)"
            " select id, $2, 1, true, '[]', 1, $3 from unnest($1::text[]) as id",
            names, OPERATOR, credentials.fast_hash(PASSWORD),
        )  # fmt: skip
        return names

    def of(self, kind: type[Event], **members: Any) -> list[Any]:
        return [
            event
            for event in self.events
            if isinstance(event, kind)
            and all(getattr(event, name) == value for name, value in members.items())
        ]

    async def _balance(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """To the first replica that takes it, as a balancer that checks readiness would."""
        for replica in self.running:
            with suppress(OSError):
                to = await asyncio.open_connection("127.0.0.1", replica.ocpp_port)
                await asyncio.gather(_pump(reader, to[1]), _pump(to[0], writer))
                return
        writer.close()

    @asynccontextmanager
    async def surrounded(self) -> AsyncIterator[None]:
        client = await nats.connect(self.nats_server.url)

        async def heard(message: Any) -> None:
            if kind := EVENTS.get(message.subject):
                self.events.append(kind.model_validate_json(message.data))

        await client.subscribe("csms.>", cb=heard)
        responding = asyncio.ensure_future(
            bus.respond(client, "identity", SUBJECT, self.identity.answer)
        )
        balancer = await asyncio.start_server(self._balance, "127.0.0.1", self.balancer_port)
        try:
            yield
        finally:
            balancer.close()
            await cancelled(responding)
            await client.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def two_gateways(servers: Servers, issuer: Issuer) -> AsyncIterator[Replicas]:
    nats_server = Nats(servers.home / f"nats-{uuid4().hex}", durable=False)
    nats_server.start()
    url = await servers.database(f"gateways-{uuid4().hex[-12:]}")
    await asyncio.to_thread(migrate.upgrade, "csms-gateway", url)
    replicas = Replicas(url, nats_server, issuer, servers.home)
    replicas.start()
    replicas.start()
    try:
        for replica in replicas.running:
            await replica.ready()
        async with replicas.surrounded():
            yield replicas
    finally:
        for replica in replicas.running:
            await asyncio.to_thread(replica.stop)
        nats_server.stop()


async def closed_row(replicas: Replicas, station_id: str, within_s: float) -> float:
    """Seconds until the station's connection no longer claims to be open."""
    began = time.monotonic()

    async def closed() -> Any:
        query = "select closed_at from connection where station_id = $1"
        return await replicas.value(query, station_id)

    await eventually(closed, within_s)
    return time.monotonic() - began
