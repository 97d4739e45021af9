"""What one running gateway replica holds."""

import asyncio
from uuid import UUID, uuid4

import asyncpg

from common.clock import now
from common.service import Parts
from csms_gateway import contracts
from csms_gateway.authorizing import Authorizer
from csms_gateway.commands.feed import Feed
from csms_gateway.costs import Costs
from csms_gateway.event_batches import EventBatches
from csms_gateway.message_log import MessageLog
from csms_gateway.ocsp import Responders
from csms_gateway.publishing import Publisher
from csms_gateway.settings import Settings
from csms_gateway.station_passwords import Passwords
from csms_gateway.tariffs_told import TariffsTold


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
        self.sealer = self.settings.sealer("csms-gateway")
        self.authority_made = asyncio.Event()  # a new one that TLS must trust
        self.events = EventBatches(pool)
        self.costs = Costs(self.settings.final_cost_wait_s)
        self.tariffs = TariffsTold(pool)
        self.feed = Feed(parts.nats)
        self.log = MessageLog(pool, self.settings)
        self.started_at = now()
        # From then on no command is sent and no socket is taken; those that are open are closed.
        self.draining = False
        # Commands on their way; awaited when draining, so that each ends in a final state.
        self.deliveries: set[asyncio.Task[None]] = set()
