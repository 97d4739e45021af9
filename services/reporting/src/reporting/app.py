"""Wiring for reporting."""

from fastapi import FastAPI

from common import service
from reporting import breakdowns
from reporting.consumers import HANDLERS
from reporting.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    return service.create(
        "reporting",
        settings or Settings(),  # type: ignore[call-arg]
        [breakdowns.router],
        HANDLERS,
        title="reporting",
    )
