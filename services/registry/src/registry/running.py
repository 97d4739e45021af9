"""What registry does beside requests and events."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from common import mail_delivery
from common.outbound import Outbound
from common.privacy import every_hour
from common.service import Parts
from common.webhook_delivery import Postman
from registry.alerts import alert_rounds, failures
from registry.alerts.alert_rounds import Rounds
from registry.live import silence
from registry.live.following import Following
from registry.public_map.keeping import PublicMap
from registry.public_map.routing import Routing
from registry.settings import Settings
from registry.tables import Mail, Webhook, WebhookDelivery


@dataclass(frozen=True)
class Beside:
    following: Following
    public_map: PublicMap
    routing: Routing


@asynccontextmanager
async def running(settings: Settings, parts: Parts) -> AsyncIterator[Beside]:
    connections, tasks = parts.connections, parts.tasks
    following = Following(connections)
    tasks.forever(following.run, "live statuses")
    tasks.forever(partial(silence.watch, connections), "silent gateways")
    public_map = PublicMap(connections)
    tasks.forever(public_map.follow, "map")
    tasks.forever(public_map.prune, "map prune")
    postman = Postman(
        connections,
        Webhook,
        WebhookDelivery,
        settings.sealer("registry"),
        allow_private=settings.allow_private_endpoints,
    )
    _alerting(settings, parts)
    async with postman.delivering(tasks), Outbound() as calls:
        yield Beside(following, public_map, Routing(settings, calls))


def _alerting(settings: Settings, parts: Parts) -> None:
    connections, tasks = parts.connections, parts.tasks
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
