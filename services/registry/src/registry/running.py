"""What registry does beside requests and events."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from common import mail_delivery, service
from common.privacy import every_hour
from common.webhook_delivery import Postman
from registry import alert_rounds, failures, silence
from registry.alert_rounds import Rounds
from registry.following import Following
from registry.settings import Settings
from registry.tables import Mail, Webhook, WebhookDelivery


@asynccontextmanager
async def running(settings: Settings, parts: service.Parts) -> AsyncIterator[Following]:
    """For followers of live statuses: what they are told by."""
    connections, tasks = parts.connections, parts.tasks
    following = Following(connections)
    tasks.forever(following.run, "live statuses")
    tasks.forever(partial(silence.watch, connections), "silent gateways")
    way = mail_delivery.delivery(settings, Mail, None)
    if way:
        tasks.forever(partial(mail_delivery.deliver, connections, way), "mail")
    rounds = Rounds(
        connections,
        every_s=settings.alerts_every_s,
        bundle_s=settings.alert_bundle_s,
        mails=way is not None,
    )
    tasks.forever(rounds.run, "alerts")
    for prune in (
        partial(mail_delivery.prune_once, connections, Mail),
        partial(failures.prune_once, connections),
        partial(alert_rounds.prune_once, connections),
    ):
        tasks.forever(partial(every_hour, prune), "registry prune")
    postman = Postman(
        connections,
        Webhook,
        WebhookDelivery,
        settings.sealer("registry"),
        allow_private=settings.allow_private_endpoints,
    )
    async with postman.delivering(tasks):
        yield following
