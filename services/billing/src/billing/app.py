"""Wiring for billing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from billing import (
    agreements,
    for_partners,
    privacy,
    records,
    sessions,
    tariffs,
    webhooks,
)
from billing.consumers import HANDLERS
from billing.running_cost import RunningCosts
from billing.settings import Settings
from billing.tables import Webhook, WebhookDelivery
from common import service
from common.privacy import every_hour
from common.webhook_delivery import Postman


def create_app(settings: Settings | None = None) -> FastAPI:
    costs = RunningCosts()
    settings = settings or Settings()  # type: ignore[call-arg]

    @asynccontextmanager
    async def around(parts: service.Parts) -> AsyncIterator[None]:
        sweep = partial(privacy.sweep_once, parts.connections)
        parts.tasks.forever(partial(every_hour, sweep), "privacy sweep")
        postman = Postman(
            parts.connections,
            Webhook,
            WebhookDelivery,
            settings.sealer("billing"),
            allow_private=settings.allow_private_endpoints,
        )
        async with postman.delivering(parts.tasks), costs.running(parts):
            yield

    return service.create(
        "billing",
        settings,
        [
            tariffs.router,
            agreements.router,
            sessions.router,
            records.router,
            for_partners.router,
            webhooks.router,
        ],
        {**HANDLERS, **costs.handlers()},
        title="billing",
        around=around,
    )
