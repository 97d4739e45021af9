"""Wiring for csms-gateway: the OCPP port beside the REST one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from common import service
from common.service import Parts
from csms_gateway import commands, connections, gateway, listener, message_log, reports
from csms_gateway.consumers import HANDLERS
from csms_gateway.settings import Settings


@asynccontextmanager
async def _ocpp(parts: Parts) -> AsyncIterator[connections.Held]:
    async with gateway.running(parts) as replica, listener.listening(replica) as held:
        replica.tasks.forever(partial(commands.sweep, replica, held), "command sweep")
        yield held


def create_app(settings: Settings | None = None) -> FastAPI:
    return service.create(
        "csms-gateway",
        settings or Settings(),  # type: ignore[call-arg]
        [connections.router, commands.router, message_log.router, reports.router],
        HANDLERS,
        title="csms-gateway",
        around=_ocpp,
    )
