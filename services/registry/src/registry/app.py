"""Wiring for registry."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from common import mail_delivery, public_limits, service
from common.privacy import every_hour
from common.webhook_delivery import Postman
from common.windows import Limit
from registry import (
    alert_rounds,
    alert_rules,
    alerts,
    decommissioning,
    failures,
    location_photos,
    locations,
    pending_stations,
    station_groups,
    stations,
    statuses,
    templates,
)
from registry.alert_rounds import Rounds
from registry.consumers import HANDLERS
from registry.qr import codes, public, sheets
from registry.qr import settings as qr_settings
from registry.settings import Settings
from registry.station_imports import routes as station_imports
from registry.tables import Mail, Webhook, WebhookDelivery


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings()  # type: ignore[call-arg]

    @asynccontextmanager
    async def around(parts: service.Parts) -> AsyncIterator[None]:
        connections, tasks = parts.connections, parts.tasks
        way = mail_delivery.delivery(settings, Mail, None)
        if way:
            tasks.forever(partial(mail_delivery.deliver, connections, way), "mail")
        rounds = Rounds(
            connections,
            every_s=settings.alerts_every_s,
            bundle_s=settings.alert_bundle_s,
            mails=way is not None,
        )
        tasks.forever(rounds.run, "alerts")
        for prune in (
            partial(mail_delivery.prune_once, connections, Mail),
            partial(failures.prune_once, connections),
            partial(alert_rounds.prune_once, connections),
        ):
            tasks.forever(partial(every_hour, prune), "registry prune")
        postman = Postman(
            connections,
            Webhook,
            WebhookDelivery,
            settings.sealer("registry"),
            allow_private=settings.allow_private_endpoints,
        )
        async with postman.delivering(tasks):
            yield

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
        ],
        HANDLERS,
        title="registry",
        around=around,
    )
    public_limits.install(app, {"qr": [Limit(settings.qr_requests_per_minute, 60.0)]})
    return app
