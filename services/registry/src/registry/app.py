"""Wiring for registry."""

from fastapi import FastAPI

from common import public_limits, service
from common.windows import Limit
from registry import locations, pending_stations, station_groups, stations, statuses
from registry.consumers import HANDLERS
from registry.public_map import clusters, nearby, routes
from registry.running import running
from registry.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings()  # type: ignore[call-arg]
    app = service.create(
        "registry",
        settings,
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
    public_limits.install(
        app,
        {
            "map": [Limit(settings.map_per_minute, 60.0)],
            "routes": [Limit(settings.routes_per_minute, 60.0)],
        },
    )
    return app
