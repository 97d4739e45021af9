"""Wiring for billing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from fastapi import APIRouter, FastAPI

from billing import (
    agreements,
    for_partners,
    privacy,
    readings,
    sessions,
    tariff_withdrawal,
    tariffs,
    webhooks,
)
from billing.consumers import HANDLERS
from billing.discounts import discounts, preview_runs, price_events
from billing.ledger import accounts, check, findings, movements, statements, trial_balance
from billing.ledger.prepaid import Prepaid
from billing.payments import asking, bonuses, notices
from billing.payments.asking import Asker
from billing.payments.routes import ROUTERS as PAYMENTS
from billing.pricing import assignments, display, strategies
from billing.pricing import explaining as price_explaining
from billing.records import corrections, disputes, explaining, listing, reviews
from billing.running_cost import RunningCosts
from billing.settings import Settings
from billing.signed import downloading, keeping
from billing.tables import Webhook, WebhookDelivery
from common import public_limits, service
from common.privacy import every_hour
from common.webhook_delivery import Postman
from common.windows import Limit


@dataclass(frozen=True)
class Beside:
    """What routes of a running service use."""

    payments: Asker


ROUTERS: Final[list[APIRouter]] = [
    tariffs.router,
    tariff_withdrawal.router,
    agreements.router,
    discounts.router,
    price_events.router,
    strategies.router,
    assignments.router,
    price_explaining.router,
    sessions.router,
    readings.router,
    listing.router,
    explaining.router,
    downloading.router,
    corrections.router,
    disputes.router,
    reviews.router,
    for_partners.router,
    webhooks.router,
    accounts.router,
    movements.router,
    movements.mine,
    statements.router,
    trial_balance.router,
    findings.router,
    *PAYMENTS,
]


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings()  # type: ignore[call-arg]
    prepaid = Prepaid(settings)
    costs = RunningCosts(prepaid)

    @asynccontextmanager
    async def around(parts: service.Parts) -> AsyncIterator[Beside]:
        sweep = partial(privacy.sweep_once, parts.connections)
        parts.tasks.forever(partial(every_hour, sweep), "privacy sweep")
        parts.tasks.forever(partial(keeping.sweep, parts.connections), "signed readings")
        parts.tasks.forever(partial(preview_runs.working, parts.connections), "previews")
        shown = partial(display.follow, parts.connections)
        parts.tasks.forever(shown, "display prices")
        postman = Postman(
            parts.connections,
            Webhook,
            WebhookDelivery,
            settings.sealer("billing"),
            allow_private=settings.allow_private_endpoints,
        )
        parts.tasks.forever(partial(bonuses.expiring, parts.connections), "expired bonuses")
        async with (
            postman.delivering(parts.tasks),
            costs.running(parts),
            prepaid.running(parts),
            check.nightly(parts),
            asking.running(parts, settings) as asker,
        ):
            yield Beside(payments=asker)

    app = service.create(
        "billing",
        settings,
        ROUTERS,
        {**HANDLERS, **costs.handlers()},
        title="billing",
        around=around,
    )
    per_minute = Limit(settings.payment_notices_per_minute, 60)
    public_limits.install(app, {notices.NOTICES: [per_minute]})
    return app
