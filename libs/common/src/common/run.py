"""The only entry point, on a laptop and in Kubernetes.

python -m common.run serve NAME... | all
python -m common.run migrate NAME... | all
python -m common.run revision NAME MESSAGE      write the next migration from tables.py
python -m common.run dead-letters NAME          list events whose handling failed for good
python -m common.run replay NAME                handle them once more
python -m common.run sql-access VERB …          who may read by SQL: see common.sql_access
"""

import asyncio
import contextlib
import errno
import gc
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from socket import AF_INET, IPPROTO_TCP, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket

import uvicorn
from fastapi import FastAPI
from sqlalchemy import select

from common import database, inbox, logs, migrate, service, sql_access
from common.settings import Settings, of_command

# In the order in which they start.
SERVICES = ("identity", "registry", "billing", "reporting", "csms-gateway")


# Longer than proxies keep a connection, or one sends a request into its end.
KEEP_ALIVE_S = 75
GRACE_S = 5  # a client that never finishes its request must not keep the service from stopping


class PortTaken(Exception):
    """Another program listens where a service should."""


class _Server(uvicorn.Server):
    """A server that leaves signals alone: uvicorn's own handling assumes one server per process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def app(name: str) -> FastAPI:
    made: FastAPI = import_module(f"{database.schema(name)}.app").create_app()
    return made


def bind(host: str, port: int, name: str) -> socket:
    """Raises PortTaken."""
    # The protocol said: asyncio switches Nagle's algorithm off only for sockets that name it, and
    # with it every answer on a connection that is used again waits 40 ms for an acknowledgement.
    listener = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
    listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"port {port} ({name}) is taken; set CSMS_{name}_PORT") from None
        raise
    return listener


def _bound(settings: Settings, names: list[str]) -> list[tuple[_Server, socket, FastAPI]]:
    """Bind every port before anything starts, so a taken port is one line and an exit code.

    Raises PortTaken.
    """
    servers = []
    for name in names:
        variable = name.replace("-", "_").upper()
        listener = bind(settings.host, settings.port(name), variable)
        made = app(name)
        config = uvicorn.Config(
            made,
            log_config=None,
            access_log=False,
            lifespan="on",
            # Its own default believes any program of this machine.
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        servers.append((_Server(config), listener, made))
    return servers


async def serve(names: list[str]) -> None:
    """Until told to stop: then what runs beside REST drains while REST still answers."""
    servers = _bound(Settings(), names)  # type: ignore[call-arg]
    # The program itself is no garbage: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    told = asyncio.Event()

    def stop() -> None:
        if told.is_set():  # told twice: at once
            exit_now()
        told.set()

    def exit_now() -> None:
        for server, _, _ in servers:
            server.should_exit = True

    async def stop_when_told() -> None:
        await told.wait()
        await asyncio.gather(*(service.drain(made) for _, _, made in servers))
        exit_now()

    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop)

    async def run(server: _Server, listener: socket) -> None:
        await server.serve(sockets=[listener])
        stop()

    async with asyncio.TaskGroup() as group:
        group.create_task(stop_when_told())
        for server, listener, _ in servers:
            group.create_task(run(server, listener))
    if not all(server.started for server, _, _ in servers):
        sys.exit("a service did not start; see the log above")


async def _dead_letters(name: str, *, again: bool) -> None:
    settings = Settings()  # type: ignore[call-arg]
    engine = database.engine(str(settings.database_url), name)
    connections = database.Connections(engine)
    if again:
        worked, dead = await inbox.replay(connections, app(name).state.handlers)
        print(f"{worked} handled, {dead} still dead")  # noqa: T201 - a command's answer
    else:
        async with connections.begin(database.PLATFORM) as db:
            dead_ones = inbox.failed_event.c.dead_at.is_not(None)
            for row in await db.execute(select(inbox.failed_event).where(dead_ones)):
                print(row.dead_at, row.subject, row.event_id, row.error)  # noqa: T201
    await engine.dispose()


def main(verb: str = "", *wanted: str) -> None:
    names = list(SERVICES) if wanted == ("all",) else list(wanted)
    settings = of_command(Settings)
    logs.install(settings.log_level, settings.log_format)
    url = str(settings.database_url)
    match verb, names:
        case "migrate", [_, *_]:
            for name in names:
                migrate.upgrade(name, url)
        case "serve", [_, *_]:
            try:
                asyncio.run(serve(names))
            except PortTaken as taken:
                sys.exit(str(taken))
        case "revision", [name, message]:
            print(migrate.revision(name, url, message))  # noqa: T201 - a command's answer
        case (("dead-letters" | "replay"), [name]):
            asyncio.run(_dead_letters(name, again=verb == "replay"))
        case "sql-access", [_, *_]:
            try:
                print(asyncio.run(sql_access.command(url, names)))  # noqa: T201
            except sql_access.Refused as refused:
                sys.exit(str(refused))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
