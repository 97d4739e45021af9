"""Wiring for registry."""

from functools import partial

from fastapi import FastAPI

from common import public_limits, service
from common.windows import Limit
from registry.alerts import alert_rules, alerts
from registry.consumers import HANDLERS
from registry.groups import station_groups
from registry.hardware import decommissioning, pending_stations, stations, templates
from registry.live import status_stream, statuses, uptimes
from registry.places import location_photos, locations
from registry.public_map import clusters, nearby, routes
from registry.qr import codes, public, sheets
from registry.qr import settings as qr_settings
from registry.running import running
from registry.settings import Settings
from registry.station_imports import routes as station_imports


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings()  # type: ignore[call-arg]

    app = service.create(
        "registry",
        settings,
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
            alert_rules.router,
            alerts.router,
            qr_settings.router,
            codes.router,
            sheets.router,
            public.router,
            status_stream.router,
            uptimes.router,
            nearby.router,
            clusters.router,
            routes.router,
        ],
        HANDLERS,
        title="registry",
        around=partial(running, settings),
    )
    public_limits.install(
        app,
        {
            "qr": [Limit(settings.qr_requests_per_minute, 60.0)],
            "map": [Limit(settings.map_requests_per_minute, 60.0)],
            "routes": [Limit(settings.route_requests_per_minute, 60.0)],
        },
    )
    return app
