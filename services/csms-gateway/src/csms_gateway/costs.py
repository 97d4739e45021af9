"""What billing says a session costs, for chargers with a display (OCPP 2.x, I02 and I03).

Heard over NATS by every replica and remembered for a while: a cost that was missed is only not
shown, never wrong, so nothing of it is stored here.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg

from common.events import RecordClosed, SessionCostUpdated
from csms_gateway.remembering import remember

log = logging.getLogger(__name__)

RUNNING_MAX: Final = 50_000  # sessions; some 30 MB
# What is over is asked for at once, or again by a station whose connection broke just then.
FINAL_MAX: Final = 10_000  # sessions; some 4 MB


@dataclass(frozen=True, slots=True)
class _Told:
    total: Decimal
    at: datetime


class Costs:
    def __init__(self, final_wait_s: float) -> None:
        self._final_wait_s = final_wait_s
        self._running: OrderedDict[UUID, _Told] = OrderedDict()
        self._final: OrderedDict[UUID, Decimal] = OrderedDict()
        self._waiting: dict[UUID, asyncio.Future[None]] = {}
        # Called with each new running cost; must not wait.
        self.on_running: Callable[[SessionCostUpdated], None] | None = None

    async def listen(self, client: Client) -> None:
        await client.subscribe(SessionCostUpdated.subject, cb=self._on_running)
        await client.subscribe(RecordClosed.subject, cb=self._on_closed)

    def running(self, session_id: UUID) -> Decimal | None:
        """Gross, in the operator's currency; None: not known. A sum of 0 is known to be free."""
        told = self._running.get(session_id)
        return told.total if told else None

    async def final(self, session_id: UUID, *, wait: bool) -> Decimal | None:
        """Gross, in the operator's currency; None: not known.

        wait: a moment, since billing learns of the end while we answer.
        """
        if wait and session_id not in self._final and self._final_wait_s:
            # A repeat of the same end on another socket waits for the same.
            future = self._waiting.setdefault(
                session_id, asyncio.get_running_loop().create_future()
            )
            try:
                await asyncio.wait_for(asyncio.shield(future), self._final_wait_s)
            except TimeoutError:
                log.debug("billing did not close %s in time", session_id)
            finally:
                self._waiting.pop(session_id, None)
        return self._final.get(session_id)

    async def _on_running(self, message: Msg) -> None:
        try:
            event = SessionCostUpdated.model_validate_json(message.data)
        except ValueError:
            log.exception("a cost could not be read")
            return
        before = self._running.get(event.session_id)
        # Two replicas of billing may tell in either order; what is over has its final sum.
        if event.session_id in self._final or (before and before.at > event.occurred_at):
            return
        told = _Told(event.total_gross, event.occurred_at)
        remember(self._running, event.session_id, told, RUNNING_MAX)
        if self.on_running:
            self.on_running(event)

    async def _on_closed(self, message: Msg) -> None:
        try:
            event = RecordClosed.model_validate_json(message.data)
        except ValueError:
            log.exception("a record could not be read")
            return
        self._running.pop(event.session_id, None)
        remember(self._final, event.session_id, event.total_gross, FINAL_MAX)
        if (future := self._waiting.get(event.session_id)) and not future.done():
            future.set_result(None)
