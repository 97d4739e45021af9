"""Wiring for billing."""

from fastapi import FastAPI

from billing import records, sessions, tariffs
from billing.consumers import HANDLERS
from billing.running_cost import RunningCosts
from billing.settings import Settings
from common import service


def create_app(settings: Settings | None = None) -> FastAPI:
    costs = RunningCosts()
    return service.create(
        "billing",
        settings or Settings(),  # type: ignore[call-arg]
        [tariffs.router, sessions.router, records.router],
        {**HANDLERS, **costs.handlers()},
        title="billing",
        around=costs.running,
    )
