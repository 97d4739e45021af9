"""Wiring for registry."""

from fastapi import FastAPI

from common import service
from registry import locations, pending_stations, station_groups, stations, statuses
from registry.consumers import HANDLERS
from registry.public_map import clusters, nearby, routes
from registry.running import running
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
            nearby.router,
            clusters.router,
            routes.router,
        ],
        HANDLERS,
        title="registry",
        around=running,
    )
