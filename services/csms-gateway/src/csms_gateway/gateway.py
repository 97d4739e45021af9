"""What one running gateway replica holds."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID, uuid4

import asyncpg

from common.clock import now
from common.database import OPERATOR_SETTING, PLATFORM, server_settings
from common.service import Parts
from csms_gateway import contracts, replicas
from csms_gateway.authorizing import Authorizer
from csms_gateway.commands.feed import Feed
from csms_gateway.costs import Costs
from csms_gateway.event_batches import EventBatches
from csms_gateway.message_log import MessageLog
from csms_gateway.ocsp import Responders
from csms_gateway.publishing import Publisher
from csms_gateway.sealing import Sealer
from csms_gateway.settings import Settings
from csms_gateway.station_passwords import Passwords

log = logging.getLogger(__name__)

POOL_SIZE = 8


class Gateway:
    """One replica. Its id is new at each start, so a restarted one never owns old sockets."""

    def __init__(self, parts: Parts, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.replica: UUID = uuid4()
        self.settings: Settings = parts.settings
        self.parts = parts
        self.pool = pool
        self.tasks = parts.tasks
        self.publisher = Publisher(parts.nats, parts.stream, pool, parts.connections)
        self.authorizer = Authorizer(parts.nats)
        self.passwords = Passwords()
        self.responders = Responders(parts.settings)
        self.contract_roots = contracts.roots(self.settings.iso15118_roots)
        secret_key = self.settings.secret_key
        self.sealer = Sealer(secret_key.get_secret_value()) if secret_key else None
        self.authority_made = asyncio.Event()  # a new one that TLS must trust
        self.events = EventBatches(pool)
        self.costs = Costs(self.settings.final_cost_wait_s)
        self.feed = Feed(parts.nats)
        self.log = MessageLog(pool, self.settings)
        self.started_at = now()
        # From then on no command is sent and no socket is taken; those that are open are closed.
        self.draining = False
        # Commands on their way; awaited when draining, so that each ends in a final state.
        self.deliveries: set[asyncio.Task[None]] = set()


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
    await gateway.feed.listen()
    try:
        yield gateway
    finally:
        try:
            await gateway.log.flush()
            await replicas.leave(gateway)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("the end of the message log could not be written: %r", error)
        await pool.close()
