"""Wiring for registry."""

from fastapi import FastAPI

from common import service
from registry import (
    decommissioning,
    location_photos,
    locations,
    pending_stations,
    station_groups,
    stations,
    statuses,
    templates,
)
from registry.consumers import HANDLERS
from registry.settings import Settings
from registry.station_imports import routes as station_imports


def create_app(settings: Settings | None = None) -> FastAPI:
    return service.create(
        "registry",
        settings or Settings(),  # type: ignore[call-arg]
        [
            locations.router,
            location_photos.router,
            stations.router,
            decommissioning.router,
            templates.router,
            station_imports.router,
            station_groups.router,
            pending_stations.router,
            statuses.router,
        ],
        HANDLERS,
        title="registry",
    )
