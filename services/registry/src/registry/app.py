"""Wiring for registry."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from common import service
from registry import (
    locations,
    pending_stations,
    silence,
    station_groups,
    stations,
    status_stream,
    statuses,
    uptimes,
)
from registry.consumers import HANDLERS
from registry.following import Following
from registry.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    return service.create(
        "registry",
        settings or Settings(),  # type: ignore[call-arg]
        [
            locations.router,
            stations.router,
            station_groups.router,
            pending_stations.router,
            statuses.router,
            status_stream.router,
            uptimes.router,
        ],
        HANDLERS,
        title="registry",
        around=_running,
    )


@asynccontextmanager
async def _running(parts: service.Parts) -> AsyncIterator[Following]:
    following = Following(parts.connections)
    parts.tasks.forever(following.run, "live statuses")
    parts.tasks.forever(partial(silence.watch, parts.connections), "silent gateways")
    yield following
