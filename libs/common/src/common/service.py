"""The one way a service is put together."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import prometheus_client
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from nats.aio.client import Client
from nats.js import JetStreamContext
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common import audit, auth, bus, client, database, ids, inbox, logs, outbox, problems, storable
from common.settings import Settings
from common.tasks import Tasks

log = logging.getLogger(__name__)

PRUNE_EVERY_S = 3600.0
INBOX_KEEP_DAYS = bus.KEEP_DAYS + 10

REQUESTS = prometheus_client.Histogram(
    "csms_request_seconds", "REST requests by service, route and status", ["service", "status"]
)


@dataclass(frozen=True)
class Parts:
    """What a running service works with."""

    settings: Any
    connections: database.Connections
    nats: Client
    stream: JetStreamContext
    tasks: Tasks


Around = Callable[[Parts], AbstractAsyncContextManager[Any]]


def create(
    name: str,
    settings: Settings,
    routers: Sequence[APIRouter],
    handlers: inbox.Handlers,
    *,
    title: str,
    around: Around | None = None,
    load_keys: Callable[[Parts], auth.LoadKeys] | None = None,
) -> FastAPI:
    """Build a service.

    around: entered when database and bus stand, left before they go; for what a service runs
    besides REST; a `drain()` of what it gives is awaited before REST stops. load_keys: where token
    keys come from if not from identity's URL.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = database.engine(str(settings.database_url), name, pool_size=settings.db_pool_size)
        connections = database.Connections(engine)
        bus_client, stream = await bus.connect(settings.nats_url, name)
        tasks = Tasks()
        parts = Parts(settings, connections, bus_client, stream, tasks)
        load = load_keys(parts) if load_keys else auth.from_url(settings.jwks_url)
        app.state.parts, app.state.connections = parts, connections
        app.state.sealer = settings.sealer(name)
        app.state.keyring = auth.KeyRing(load)
        async with around(parts) if around else nullcontext() as beside:
            app.state.beside = beside
            tasks.forever(partial(outbox.relay, connections, stream), f"{name} relay")
            tasks.forever(app.state.keyring.keep_fresh, f"{name} keys")
            tasks.forever(partial(_prune, connections), f"{name} prune")
            tasks.forever(partial(audit.telling, connections, name), f"{name} audit")
            for consume in (bus.consume_events, bus.consume_meter):
                loop = partial(consume, name, connections, stream, handlers)
                tasks.forever(loop, f"{name} consumer")
            yield
        await tasks.stop()
        await bus_client.close()
        await engine.dispose()

    app = FastAPI(
        title=f"OpenLade {title}",
        version="1",
        lifespan=lifespan,
        responses=problems.RESPONSES,
        dependencies=[Depends(storable.address)],
    )
    app.state.service = name
    app.state.handlers = handlers
    app.add_middleware(_Observed, service=name)
    problems.install(app)
    for router in routers:
        app.include_router(router)
    app.get("/livez", include_in_schema=False)(_livez)
    app.get("/readyz", include_in_schema=False)(_readyz)
    app.get("/metrics", include_in_schema=False)(_metrics)
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        parts = schema.setdefault("components", {}).setdefault("schemas", {})
        parts["ProblemDocument"] = problems.ProblemDocument.model_json_schema()
        # Ours answers 422 with a problem, not with FastAPI's own shape.
        for unused in ("HTTPValidationError", "ValidationError"):
            parts.pop(unused, None)
        for path in schema.get("paths", {}).values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        app.openapi_schema = schema
    return app.openapi_schema


async def _prune(connections: database.Connections) -> None:
    while True:
        await inbox.prune(connections, INBOX_KEEP_DAYS)
        await asyncio.sleep(PRUNE_EVERY_S)


class _Observed:
    """Gives every request an id, and counts it by its outcome."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"")[:64].decode("latin-1")
        request_id = given if given.isprintable() and given else ids.uuid7().hex
        logs.request_id.set(request_id)
        client.address.set(scope["client"][0] if scope.get("client") else None)
        started = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode("latin-1")),
                ]
                seconds = time.perf_counter() - started
                REQUESTS.labels(self._service, str(message["status"])).observe(seconds)
            await send(message)

        await self._app(scope, receive, send_with_id)


async def drain(app: FastAPI) -> None:
    """Before the servers stop: no longer ready, while what runs beside REST lets go of its work."""
    app.state.draining = True
    if let_go := getattr(getattr(app.state, "beside", None), "drain", None):
        try:
            await let_go()
        except Exception:
            log.exception("%s did not drain", app.title)


async def _livez() -> dict[str, str]:
    return {"status": "ok"}


class NotReady(problems.Problem):
    status = 503
    title = "Not ready"


async def _readyz(request: Request) -> dict[str, str]:
    """Ready: the database answers, NATS is connected and tokens can be checked."""
    parts: Parts = request.app.state.parts
    if getattr(request.app.state, "draining", False):
        raise NotReady("it is stopping")
    try:
        async with parts.connections.begin(database.PLATFORM) as db:
            await db.execute(text("select 1"))
    except (OSError, SQLAlchemyError) as error:
        raise NotReady("the database does not answer") from error
    if not parts.nats.is_connected:
        raise NotReady("NATS is not connected")
    if not request.app.state.keyring.ready:
        raise NotReady("identity's signing keys have not been loaded yet")
    return {"status": "ok"}


async def _metrics() -> Response:
    return Response(
        prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST
    )
