"""A gateway replica while it runs: its connections to PostgreSQL and its loops."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import asyncpg

from common.database import OPERATOR_SETTING, PLATFORM, STATEMENT_FAILED, server_settings
from common.service import Parts
from csms_gateway import replicas
from csms_gateway.gateway import Gateway

log = logging.getLogger(__name__)

POOL_SIZE = 8


async def _keep(_: object) -> None:
    return


@asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[Gateway]:
    """The replica with its background loops; what is left in the log is written at the end."""
    # Chargers of every operator share these connections: each statement names its operator itself.
    # The setting is the connection's for good, unlike the tenant's of a REST request.
    settings = server_settings("csms-gateway") | {OPERATOR_SETTING: PLATFORM}
    pool = await asyncpg.create_pool(
        str(parts.settings.database_url).replace("+asyncpg", ""),
        min_size=1,
        max_size=POOL_SIZE,
        command_timeout=10,
        server_settings=settings,
        # Nothing here changes a connection's state, so nothing needs resetting: asyncpg's own
        # reset is another round trip after each statement.
        reset=_keep,
    )
    gateway = Gateway(parts, pool)
    loops: dict[str, Callable[[], Awaitable[None]]] = {
        **gateway.publisher.loops(),
        "transaction events": gateway.events.run,
        "message log": gateway.log.run,
        "log partitions": gateway.log.keep_partitions,
        "beat": partial(replicas.beat, gateway),
    }
    await replicas.enter(gateway)
    for name, loop in loops.items():
        gateway.tasks.forever(partial(loop), name)
    await gateway.costs.listen(parts.nats)
    await gateway.tariffs.listen(parts.nats)
    await gateway.feed.listen()
    try:
        yield gateway
    finally:
        try:
            await gateway.log.flush()
            await replicas.leave(gateway)
        except STATEMENT_FAILED as error:
            log.warning("the end of the message log could not be written: %r", error)
        await pool.close()
