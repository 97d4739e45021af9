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
    webhook_delivery,
    webhooks,
)
from billing.consumers import HANDLERS
from billing.running_cost import RunningCosts
from billing.settings import Settings
from billing.webhook_delivery import Postman
from common import service
from common.outbound import Outbound
from common.privacy import every_hour


def create_app(settings: Settings | None = None) -> FastAPI:
    costs = RunningCosts()
    settings = settings or Settings()  # type: ignore[call-arg]

    @asynccontextmanager
    async def around(parts: service.Parts) -> AsyncIterator[None]:
        sweep = partial(privacy.sweep_once, parts.connections)
        parts.tasks.forever(partial(every_hour, sweep), "privacy sweep")
        old = partial(webhook_delivery.prune_once, parts.connections)
        parts.tasks.forever(partial(every_hour, old), "old webhook deliveries")
        async with Outbound() as calls, costs.running(parts):
            postman = Postman(parts.connections, settings, calls, parts.tasks)
            delivering = parts.tasks.forever(postman.deliver, "webhooks")
            yield
            delivering.cancel()

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
