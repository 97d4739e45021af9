"""The whole suite as processes of its own, each of which a test may kill."""

import asyncio
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aftermath
import asyncpg
import httpx
import pytest
from stack import eventually

from common.run import SERVICES
from local_stack import demo_data
from local_stack.mail_catcher import MailCatcher
from local_stack.servers import Nats, Postgres, free_port

ADMIN = "admin@openlade.localhost"
PASSWORD = "correct-horse-battery"
READY_S = 180.0  # five processes that start at once, beside another worker's tests
STOP_S = 60.0  # a service takes a second or two

TOKEN_KEPT_S = 300  # it is good for three times that


class Suite:
    """Five services on free ports, with PostgreSQL and NATS for themselves."""

    def __init__(self, home: Path, **settings: str) -> None:
        """settings: environment variables beside the usual ones."""
        self.settings = settings
        self.postgres = Postgres(home / "postgres")
        self.nats = Nats(home / "nats", durable=False)
        self.mails = MailCatcher(home / "mails")
        self.ports = {name: free_port() for name in SERVICES} | {"ocpp": free_port()}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.home = home
        self.demo: dict[str, Any] = {}
        self._token, self._signed_in = "", -math.inf

    @property
    def urls(self) -> dict[str, str]:
        found = {name: f"http://127.0.0.1:{self.ports[name]}" for name in SERVICES}
        return found | {"ocpp": f"ws://127.0.0.1:{self.ports['ocpp']}/ocpp"}

    @property
    def environment(self) -> dict[str, str]:
        ports = {
            f"CSMS_{name.replace('-', '_').upper()}_PORT": str(self.ports[name])
            for name in (*SERVICES, "ocpp")
        }
        return {
            **os.environ,
            **ports,
            "CSMS_DATABASE_URL": self.postgres.url(),
            "CSMS_NATS_URL": self.nats.url,
            "CSMS_JWKS_URL": f"{self.urls['identity']}/.well-known/jwks.json",
            "CSMS_LOG_LEVEL": "warning",
            "CSMS_SMTP_URL": self.mails.url,
            "CSMS_MAIL_FROM": "OpenLade <no-reply@openlade.example>",
            "CSMS_PUBLIC_URL": "https://console.example/",
            "CSMS_ALERTS_EVERY_S": "0.5",
            "CSMS_ALERT_BUNDLE_S": "1",
            # All tests are of one network.
            "CSMS_MAP_REQUESTS_PER_MINUTE": "0",
            "CSMS_ROUTE_REQUESTS_PER_MINUTE": "0",
            "CSMS_SECRET_KEY": "a-secret-key-of-the-tests-and-of-nobody-else",
            "CSMS_BOOTSTRAP_EMAIL": ADMIN,
            "CSMS_BOOTSTRAP_PASSWORD": PASSWORD,
            **self.settings,
        }

    def start_service(self, name: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "common.run", "serve", name],
                env=self.environment, stderr=log, stdout=log,
            )  # fmt: skip

    async def ready(self, *names: str) -> None:
        async with httpx.AsyncClient(timeout=5) as client:
            for name in names:

                async def answers(name: str = name) -> bool:
                    exited = self.processes[name].poll()
                    assert exited is None, (self.home / f"{name}.log").read_text()
                    try:
                        response = await client.get(f"{self.urls[name]}/readyz")
                    except httpx.HTTPError:
                        return False
                    return response.status_code == 200

                await eventually(answers, READY_S)

    def kill(self, name: str) -> None:
        """Kill -9, as a crash would."""
        if name in ("postgres", "nats"):
            server: Postgres | Nats = getattr(self, name)
            server.kill()
            return
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    async def restart(self, name: str, after_s: float = 0) -> None:
        """Kill -9, and start again after a while."""
        self.kill(name)
        await asyncio.sleep(after_s)
        if name == "postgres":
            await asyncio.to_thread(self.postgres.start)
        elif name == "nats":
            await asyncio.to_thread(self.nats.start)
        else:
            self.start_service(name)
        await self.ready(*SERVICES)

    async def token(self) -> str:
        """Signing in costs argon2's 0.3 s, so seldom; a token outlives any of these tests, but not
        all of them.
        """
        if time.monotonic() - self._signed_in > TOKEN_KEPT_S:
            login = self.demo["login"]
            self._token = await asyncio.to_thread(
                demo_data.token, self.urls["identity"], login["email"], login["password"]
            )
            self._signed_in = time.monotonic()
        return self._token

    async def get(self, service: str, path: str, **params: Any) -> Any:
        """GET as the demo's staff."""
        async with httpx.AsyncClient(timeout=20) as client:
            response = await client.get(
                f"{self.urls[service]}/v1/{path}",
                params=params,
                headers={"Authorization": f"Bearer {await self.token()}"},
            )
            assert response.status_code == 200, response.text
            return response.json()

    async def count(self, query: str, *values: Any) -> int:
        """One number, straight from the database."""
        connection = await asyncpg.connect(self.postgres.url())
        try:
            return int(await connection.fetchval(query, *values))
        finally:
            await connection.close()

    async def records(self, **params: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.get("billing", "records", **params))["items"]
        return items

    async def record_of(self, session_id: str) -> dict[str, Any]:
        async def found() -> Any:
            return await self.records(session_id=session_id)

        items: list[dict[str, Any]] = await eventually(found)
        assert len(items) == 1
        return items[0]

    def letters(self) -> list[Path]:
        """The mails that were caught."""
        return list((self.home / "mails").glob("*.eml"))

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        try:
            for process in self.processes.values():
                process.wait(STOP_S)
        finally:
            self.nats.stop()
            self.postgres.stop()
            self.mails.stop()


# The unprivileged user that runs Postgres passes through these folders.
PASSABLE = 0o755


@asynccontextmanager
async def running_suite(**settings: str) -> AsyncIterator[Suite]:
    with tempfile.TemporaryDirectory(prefix="csms-suite-", ignore_cleanup_errors=True) as folder:
        suite = Suite(Path(folder), **settings)
        aftermath.perishable(suite.home)
        os.chmod(folder, PASSABLE)  # noqa: PTH101
        try:
            await asyncio.to_thread(suite.postgres.start)
            await asyncio.to_thread(suite.nats.start)
            await asyncio.to_thread(suite.mails.start)
            migrate = [sys.executable, "-m", "common.run", "migrate", "all"]
            await asyncio.to_thread(
                subprocess.run, migrate, env=suite.environment, check=True, capture_output=True
            )
            for name in SERVICES:
                suite.start_service(name)
            await suite.ready(*SERVICES)
            suite.demo = await asyncio.to_thread(demo_data.ensure, {}, ADMIN, PASSWORD, suite.urls)
            yield suite
        finally:
            await asyncio.to_thread(suite.stop)


@pytest.fixture(scope="session")
async def suite() -> AsyncIterator[Suite]:
    """One for all tests that leave it standing."""
    async with running_suite() as running:
        yield running
