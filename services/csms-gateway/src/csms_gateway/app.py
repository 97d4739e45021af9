"""Wiring for csms-gateway: the OCPP port beside the REST one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from common import service
from common.privacy import every_hour
from common.service import Parts
from csms_gateway import (
    certificate_authority,
    certificate_renewal,
    charging_profiles,
    connections,
    cost_messages,
    cost_updates,
    customer_information,
    listener,
    local_lists,
    messages,
    notifications,
    privacy,
    progress,
    registrations,
    reports,
    reservations,
    running,
    signed_readings,
    signed_readings_told,
    station_certificates,
    station_security,
    transaction_endings,
    variables,
)
from csms_gateway.commands import asking, reading, records, requests, stream
from csms_gateway.consumers import HANDLERS
from csms_gateway.settings import Settings


@asynccontextmanager
async def _ocpp(parts: Parts) -> AsyncIterator[connections.Held]:
    async with running.running(parts) as replica, listener.listening(replica) as held:
        replica.tasks.forever(partial(records.sweep, replica, held), "command sweep")
        replica.tasks.forever(partial(requests.answer, replica, held), "commands by NATS")
        replica.tasks.forever(partial(notifications.prune, replica), "old notifications")
        replica.tasks.forever(partial(customer_information.prune, replica), "customer information")
        replica.tasks.forever(partial(transaction_endings.sweep, replica), "untold sessions")
        replica.tasks.forever(
            partial(signed_readings_told.sweep, replica), "untold signed readings"
        )
        replica.tasks.forever(partial(reservations.sweep, replica), "expired reservations")
        replica.tasks.forever(
            partial(certificate_renewal.sweep, replica, held), "certificate renewal"
        )
        sweep = partial(privacy.sweep_once, parts.connections)
        replica.tasks.forever(partial(every_hour, sweep), "privacy sweep")
        replica.costs.on_running = cost_updates.CostUpdates(replica, held).told
        messages_1_6 = cost_messages.CostMessages(replica, held)
        replica.costs.on_final = messages_1_6.closed
        replica.costs.on_checked = messages_1_6.checked
        replica.tariffs.on_price = messages_1_6.priced
        replica.tasks.forever(messages_1_6.default_prices, "default prices")
        yield held


def create_app(settings: Settings | None = None) -> FastAPI:
    return service.create(
        "csms-gateway",
        settings or Settings(),  # type: ignore[call-arg]
        [
            connections.router,
            cost_updates.router,
            asking.router,
            reading.router,
            stream.router,
            messages.router,
            notifications.router,
            progress.router,
            reports.router,
            signed_readings.router,
            variables.router,
            registrations.router,
            customer_information.router,
            station_security.router,
            station_certificates.router,
            certificate_authority.router,
            reservations.router,
            local_lists.router,
            charging_profiles.router,
        ],
        HANDLERS,
        title="csms-gateway",
        around=_ocpp,
    )
