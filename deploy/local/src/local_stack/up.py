"""The one-command stack: python -m local_stack.up [--drop]

Starts PostgreSQL and NATS (or uses yours: CSMS_DATABASE_URL, CSMS_NATS_URL), migrates, starts every
service in one process, makes the demo, and stops all of it on Ctrl-C.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from common.run import SERVICES, PortTaken, bind
from common.settings import Settings
from csms_gateway.settings import Settings as GatewaySettings
from local_stack import demo_data, place
from local_stack.mail_catcher import MailCatcher
from local_stack.servers import Nats, NotStarted, Postgres

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
ADMIN = "admin@openlade.localhost"


class Stopped(Exception):
    """Ctrl-C or a termination signal."""


def _on_signal(number: int, _: FrameType | None) -> None:
    raise Stopped(signal.Signals(number).name)


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    """One line of progress with its time."""
    print(f"  {what} …", end="", flush=True)
    started = time.monotonic()
    yield
    print(f" {time.monotonic() - started:.1f} s", flush=True)


def _check_ports(settings: Settings, gateway: GatewaySettings) -> None:
    """Raises PortTaken before anything is started."""
    for name in SERVICES:
        variable = name.replace("-", "_").upper()
        bind(settings.host, settings.port(name), variable).close()
    bind(gateway.ocpp_host, gateway.ocpp_port, "OCPP").close()


class Stack:
    """The running stack; stop() ends what start() began."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._servers: list[Postgres | Nats | MailCatcher] = []
        self._services: subprocess.Popen[bytes] | None = None
        self._environment: dict[str, str] = {}
        self.urls: dict[str, str] = {}

    def start(self, password: str, more: dict[str, str]) -> None:
        """more: variables for the services. Raises PortTaken or NotStarted."""
        environment = more | dict(os.environ)
        environment.setdefault("CSMS_LOG_LEVEL", "warning")
        environment.setdefault("CSMS_LOG_FORMAT", "text")
        environment |= {"CSMS_BOOTSTRAP_EMAIL": ADMIN, "CSMS_BOOTSTRAP_PASSWORD": password}
        placeholder = environment.get("CSMS_DATABASE_URL") or "postgresql://unused"
        settings = Settings(database_url=placeholder)  # type: ignore[arg-type]
        gateway = GatewaySettings(database_url=placeholder)  # type: ignore[arg-type]
        _check_ports(settings, gateway)
        self.home.mkdir(parents=True, exist_ok=True)
        if "CSMS_DATABASE_URL" not in environment:
            postgres = Postgres(self.home / "postgres")
            with _step("PostgreSQL"):
                self._servers.append(postgres)
                postgres.start()
            environment["CSMS_DATABASE_URL"] = postgres.url()
        if "CSMS_NATS_URL" not in environment:
            nats = Nats(self.home / "nats")
            with _step("NATS"):
                self._servers.append(nats)
                nats.start()
            environment["CSMS_NATS_URL"] = nats.url
        self._catch_mail(environment)
        self.urls = demo_data.urls(gateway)
        run = [sys.executable, "-m", "common.run"]
        with _step("migrations"):
            done = subprocess.run([*run, "migrate", "all"], env=environment, check=False)
            if done.returncode:
                raise NotStarted("the migrations failed; see above")
        self._environment = environment
        with _step("services"):
            self._serve(settings)

    def _catch_mail(self, environment: dict[str, str]) -> None:
        if "CSMS_SMTP_URL" in environment:
            return
        catcher = MailCatcher(self.home / "mails")
        with _step("mail catcher"):
            self._servers.append(catcher)
            catcher.start()
        environment["CSMS_SMTP_URL"] = catcher.url
        environment.setdefault("CSMS_MAIL_FROM", "OpenLade <no-reply@openlade.localhost>")
        environment.setdefault("CSMS_PUBLIC_URL", "http://localhost:8003")

    def serve_again(self, more: dict[str, str]) -> None:
        """Start the services anew with these variables besides. Raises NotStarted."""
        self._stop_services()
        self._environment = more | self._environment
        self._serve(Settings(database_url=self._environment["CSMS_DATABASE_URL"]))  # type: ignore[arg-type]

    def _serve(self, settings: Settings) -> None:
        run = [sys.executable, "-m", "common.run", "serve", "all"]
        self._services = subprocess.Popen(run, env=self._environment, start_new_session=True)
        self._wait_ready(settings)

    def _wait_ready(self, settings: Settings) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        for name in SERVICES:
            url = f"http://{settings.host}:{settings.port(name)}/readyz"
            while not self._ready(url):
                if self.ended() or time.monotonic() > deadline:
                    raise NotStarted(f"{name} did not become ready; see above")
                time.sleep(0.1)

    @staticmethod
    def _ready(url: str) -> bool:
        try:
            return httpx.get(url, timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def ended(self) -> bool:
        """Whether the services ended by themselves."""
        return self._services is not None and self._services.poll() is not None

    def stop(self) -> None:
        self._stop_services()
        for server in reversed(self._servers):
            server.stop()

    def _stop_services(self) -> None:
        if self._services and self._services.poll() is None:
            self._services.terminate()
            try:
                self._services.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._services.kill()
                self._services.wait()


def _banner(demo: dict[str, Any], *, lab: bool) -> str:
    urls = demo["urls"]
    station = demo["stations"][0]
    lines = [
        "",
        "OpenLade is running. Ctrl-C stops it and keeps the data (make clean-data drops it).",
        "",
        f"  chargers   {urls['ocpp']}/<station id>{'  (any, without a password)' if lab else ''}",
        *(f"  {name:<10} {urls[name]}/docs" for name in SERVICES),
        "",
        f"  login      {demo['login']['email']}  {demo['login']['password']}",
        f"  platform   {ADMIN}  {demo['admin_password']}",
        f"  station    {station['id']}  {station['password']}",
        f"  cards      {', '.join(demo['cards'])}",
        "",
        "In another terminal:",
        "  make charger                  # a simulated charger: tap, charge, stop",
        "  export TOKEN=$(make -s token)",
    ]
    examples = {
        "identity": "cards", "registry": "statuses", "billing": "records?limit=1",
        "reporting": "breakdowns?by=month,station", "csms-gateway": "transactions",
    }  # fmt: skip
    lines += [
        f'  curl -sH "Authorization: Bearer $TOKEN" "{urls[name]}/v1/{path}"'
        for name, path in examples.items()
    ]
    return "\n".join([*lines, ""])


def _laboratory(demo: dict[str, Any]) -> dict[str, str]:
    """Any charger is let in, as the demo operator's. Empty before there is one."""
    if "operator_id" not in demo:
        return {}
    return {
        "CSMS_UNKNOWN_STATIONS": "accept",
        "CSMS_UNKNOWN_STATIONS_OPERATOR_ID": demo["operator_id"],
    }


def _drop(home: Path) -> None:
    if home.exists():
        Postgres(home / "postgres").end_a_leftover()
        shutil.rmtree(home)
    print(f"dropped {home}")


def main(*arguments: str) -> None:
    home = place.home()
    if arguments == ("--drop",):
        _drop(home)
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _on_signal)
    demo = place.remembered()
    password = demo.get("admin_password") or secrets.token_urlsafe(16)
    secret_key = demo.get("secret_key") or secrets.token_urlsafe(32)
    lab = os.environ.get("CSMS_LAB") == "1"
    stack = Stack(home)
    print("OpenLade starts", flush=True)
    try:
        # Before anything is made with it: a start that is broken off must not lose it.
        demo |= {"admin_password": password, "secret_key": secret_key}
        place.remember(demo)
        there = _laboratory(demo) if lab else {}
        stack.start(password, there | {"CSMS_SECRET_KEY": secret_key})
        with _step("demo data"):
            demo |= demo_data.ensure(demo, ADMIN, password, stack.urls)
            place.remember(demo)
        if lab and not there:
            with _step("services as a laboratory"):
                stack.serve_again(_laboratory(demo))
        print(_banner(demo, lab=lab), flush=True)
        while not stack.ended():
            time.sleep(0.3)
        sys.exit("the services ended; see above")
    except (PortTaken, NotStarted) as failed:
        print()
        sys.exit(str(failed))
    except demo_data.Failed as failed:
        print()
        sys.exit(f"{failed}\nmake clean-data drops a demo that was left half made")
    except Stopped:
        print("\nstopping …", flush=True)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        stack.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
