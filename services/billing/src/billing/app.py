"""Wiring for billing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from billing import agreements, privacy, records, sessions, tariffs
from billing.consumers import HANDLERS
from billing.running_cost import RunningCosts
from billing.settings import Settings
from common import service
from common.privacy import every_hour


def create_app(settings: Settings | None = None) -> FastAPI:
    costs = RunningCosts()

    @asynccontextmanager
    async def around(parts: service.Parts) -> AsyncIterator[None]:
        sweep = partial(privacy.sweep_once, parts.connections)
        parts.tasks.forever(partial(every_hour, sweep), "privacy sweep")
        async with costs.running(parts):
            yield

    return service.create(
        "billing",
        settings or Settings(),  # type: ignore[call-arg]
        [tariffs.router, agreements.router, sessions.router, records.router],
        {**HANDLERS, **costs.handlers()},
        title="billing",
        around=around,
    )
