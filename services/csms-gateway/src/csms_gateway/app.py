"""Wiring for csms-gateway: the OCPP port beside the REST one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from common import service
from common.service import Parts
from csms_gateway import (
    connections,
    gateway,
    listener,
    messages,
    notifications,
    reports,
    transaction_events,
)
from csms_gateway.commands import records, requests, routes
from csms_gateway.consumers import HANDLERS
from csms_gateway.settings import Settings


@asynccontextmanager
async def _ocpp(parts: Parts) -> AsyncIterator[connections.Held]:
    async with gateway.running(parts) as replica, listener.listening(replica) as held:
        replica.tasks.forever(partial(records.sweep, replica, held), "command sweep")
        replica.tasks.forever(partial(requests.answer, replica, held), "commands by NATS")
        replica.tasks.forever(held.drop_slow, "slow readers")
        replica.tasks.forever(partial(notifications.prune, replica), "old notifications")
        replica.tasks.forever(partial(transaction_events.sweep, replica), "untold sessions")
        yield held


def create_app(settings: Settings | None = None) -> FastAPI:
    return service.create(
        "csms-gateway",
        settings or Settings(),  # type: ignore[call-arg]
        [
            connections.router,
            routes.router,
            messages.router,
            notifications.router,
            reports.router,
        ],
        HANDLERS,
        title="csms-gateway",
        around=_ocpp,
    )
