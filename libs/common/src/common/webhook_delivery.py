"""Brings to webhooks what was queued for them.

A delivery is taken for TAKEN and its try counted before it is sent: no database connection is held
while an address dawdles, and what a crashed replica had taken is tried again. An address that fails
five times in a row is left alone for a while, so that it costs the others nothing.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy import RowMapping, delete, or_, text, update

from common import signing
from common.clock import now
from common.database import PLATFORM, Connections
from common.outbound import Outbound, OutboundFailed
from common.privacy import every_hour
from common.sealing import Sealer
from common.tasks import Tasks
from common.webhooks import WebhookColumns, WebhookDeliveryColumns

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
LIMIT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 65_536
AT_ONCE: Final = 30
OF_ONE_MAX: Final = 5
TAKEN: Final = timedelta(minutes=1)
# After so many failed tries; then every half day until it is given up.
PAUSES: Final = tuple(timedelta(seconds=s) for s in (5, 30, 120, 600, 3600, 3600 * 3, 3600 * 12))
GIVEN_UP_AFTER: Final = timedelta(days=3)
FAILURES_MAX: Final = 5  # in a row
LEFT_ALONE_MAX: Final = timedelta(minutes=10)
KEPT: Final = timedelta(days=30)
ERROR_MAX: Final = 300
OK: Final = range(200, 300)

DELIVERIES = Counter("csms_webhook_deliveries_total", "Webhook tries by outcome", ["outcome"])

TAKE: Final = text(
    """
    with due as materialized (
        select d.id, d.webhook_id from webhook w
        cross join lateral (
            select id, webhook_id from webhook_delivery
            where webhook_id = w.id and delivered_at is null and given_up_at is null
                and next_try_at <= :at
            order by id limit :of_one
        ) d
        where w.active and (w.paused_until is null or w.paused_until <= :at)
            and w.id <> all(:busy)
        order by w.paused_until nulls first, d.id
        limit :most
    ), locked as (
        select id, webhook_id from webhook_delivery
        where (id, webhook_id) in (select id, webhook_id from due) and next_try_at <= :at
        for update skip locked
    )
    update webhook_delivery d set tries = tries + 1, next_try_at = :until
    from locked, webhook w
    where d.id = locked.id and d.webhook_id = locked.webhook_id and w.id = d.webhook_id
    returning d.id, d.webhook_id, d.operator_id, d.body, d.tries, d.wanted_at, w.url, w.secret
    """
)


def pause(tries: int) -> timedelta:
    return PAUSES[min(tries, len(PAUSES)) - 1]


def left_alone(failures: int) -> timedelta | None:
    """After so many failures in a row: 10 s, 20, 40 …, ten minutes at most."""
    if failures < FAILURES_MAX:
        return None
    return min(timedelta(seconds=10 * 2 ** min(failures - FAILURES_MAX, 10)), LEFT_ALONE_MAX)


class Postman:
    """For a service's tables of webhooks and of what is queued for them."""

    def __init__(
        self,
        connections: Connections,
        webhooks: type[WebhookColumns],
        deliveries: type[WebhookDeliveryColumns],
        sealer: Sealer | None,
        *,
        allow_private: bool,
    ) -> None:
        self._connections = connections
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._sealer = sealer
        self._allow_private = allow_private

    @asynccontextmanager
    async def delivering(self, tasks: Tasks) -> AsyncIterator[None]:
        """Brings what waits as long as it is entered."""
        prune = partial(every_hour, partial(prune_once, self._connections, self._deliveries))
        tasks.forever(prune, "old webhook deliveries")
        async with Outbound() as calls:
            delivering = tasks.forever(partial(self._deliver, calls, tasks), "webhooks")
            yield
            delivering.cancel()

    async def _deliver(self, calls: Outbound, tasks: Tasks) -> None:
        under_way: dict[asyncio.Task[None], UUID] = {}
        try:
            while True:
                taken = await self._take(AT_ONCE - len(under_way), list(set(under_way.values())))
                for row in taken:
                    under_way[tasks.spawn(self._one(calls, row))] = row["webhook_id"]
                if taken and len(under_way) < AT_ONCE:
                    continue
                for task in await _any_done(under_way):
                    del under_way[task]
        finally:
            for task in under_way:
                task.cancel()

    async def _take(self, most: int, busy: list[UUID]) -> Sequence[RowMapping]:
        if most <= 0:
            return ()
        at = now()
        values = {"at": at, "until": at + TAKEN, "most": most, "of_one": OF_ONE_MAX, "busy": busy}
        async with self._connections.begin(PLATFORM) as db:
            return (await db.execute(TAKE, values)).mappings().all()

    async def _one(self, calls: Outbound, row: RowMapping) -> None:
        status, why = await self._sent(calls, row)
        at = now()
        values: dict[str, Any] = {"last_status": status, "last_error": why}
        if why is None:
            values |= {"delivered_at": at}
        elif at - row["wanted_at"] > GIVEN_UP_AFTER:
            values |= {"given_up_at": at}
        else:
            values |= {"next_try_at": at + pause(row["tries"])}
        async with self._connections.begin(PLATFORM) as db:
            queued, webhooks = self._deliveries, self._webhooks
            mine = (queued.id == row["id"], queued.webhook_id == row["webhook_id"])
            await db.execute(update(queued).where(*mine).values(**values))
            webhook = update(webhooks).where(webhooks.id == row["webhook_id"])
            if why is None:
                fine = webhook.where(webhooks.failures > 0)
                await db.execute(fine.values(failures=0, paused_until=None))
            else:
                failed = webhook.values(failures=webhooks.failures + 1).returning(webhooks.failures)
                failures = await db.scalar(failed)
                if failures is not None and (wait := left_alone(failures)) is not None:
                    await db.execute(webhook.values(paused_until=at + wait))
        outcome = "given up" if "given_up_at" in values else "failed" if why else "delivered"
        DELIVERIES.labels(outcome).inc()

    async def _sent(self, calls: Outbound, row: RowMapping) -> tuple[int | None, str | None]:
        """The status of HTTP, and why it is none that counts."""
        body = row["body"].encode()
        try:
            if self._sealer is None:
                raise ValueError("secret_key is not set")
            secret = self._sealer.open(row["secret"])
        except ValueError:
            return None, "its secret cannot be read with CSMS_SECRET_KEY"
        try:
            answer = await calls.post_json(
                row["url"],
                body,
                signing.signed(secret, body, int(time.time())),
                timeout_s=LIMIT_S,
                bytes_max=ANSWER_BYTES_MAX,
                allow_private=self._allow_private,
            )
        except OutboundFailed as error:
            return None, error.why[:ERROR_MAX]
        if answer.status not in OK:
            return answer.status, f"It answered with the HTTP status {answer.status}."
        return answer.status, None


async def _any_done(
    under_way: dict[asyncio.Task[None], UUID],
) -> set[asyncio.Task[None]]:
    if not under_way:
        await asyncio.sleep(POLL_S)
        return set()
    done, _ = await asyncio.wait(under_way, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
    return done


async def prune_once(connections: Connections, table: type[WebhookDeliveryColumns]) -> None:
    """What was delivered or given up, a month later."""
    oldest: datetime = now() - KEPT
    async with connections.begin(PLATFORM) as db:
        over = or_(table.delivered_at < oldest, table.given_up_at < oldest)
        await db.execute(delete(table).where(over))
