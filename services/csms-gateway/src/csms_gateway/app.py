"""Wiring for csms-gateway: the OCPP port beside the REST one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from common import service
from common.service import Parts
from csms_gateway import (
    charging_profiles,
    connections,
    gateway,
    listener,
    local_lists,
    message_log,
    notifications,
    reports,
    reservations,
    transaction_events,
)
from csms_gateway.commands import records, routes
from csms_gateway.consumers import HANDLERS
from csms_gateway.settings import Settings


@asynccontextmanager
async def _ocpp(parts: Parts) -> AsyncIterator[connections.Held]:
    async with gateway.running(parts) as replica, listener.listening(replica) as held:
        replica.tasks.forever(partial(records.sweep, replica, held), "command sweep")
        replica.tasks.forever(partial(notifications.prune, replica), "old notifications")
        replica.tasks.forever(partial(transaction_events.sweep, replica), "untold sessions")
        replica.tasks.forever(partial(reservations.sweep, replica), "expired reservations")
        yield held


def create_app(settings: Settings | None = None) -> FastAPI:
    return service.create(
        "csms-gateway",
        settings or Settings(),  # type: ignore[call-arg]
        [
            connections.router,
            routes.router,
            message_log.router,
            notifications.router,
            reports.router,
            reservations.router,
            local_lists.router,
            charging_profiles.router,
        ],
        HANDLERS,
        title="csms-gateway",
        around=_ocpp,
    )
