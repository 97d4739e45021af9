"""What billing says a session costs, for chargers with a display (OCPP 2.x, I02 and I03; 1.6).

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

from common.events import RecordClosed, RecordReviewed, SessionCostUpdated
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
        self._checked: OrderedDict[UUID, None] = OrderedDict()
        self._waiting: dict[UUID, asyncio.Future[None]] = {}
        # Called with each new running cost; must not wait.
        self.on_running: Callable[[SessionCostUpdated], None] | None = None
        # The same with each final one, and with what somebody must decide about before it is.
        self.on_final: Callable[[RecordClosed], None] | None = None
        self.on_checked: Callable[[RecordClosed], None] | None = None

    async def listen(self, client: Client) -> None:
        await client.subscribe(SessionCostUpdated.subject, cb=self._on_running)
        await client.subscribe(RecordClosed.subject, cb=self._on_closed)
        await client.subscribe(RecordReviewed.subject, cb=self._on_reviewed)

    def running(self, session_id: UUID) -> Decimal | None:
        """Gross, in the operator's currency; None: not known. A sum of 0 is known to be free."""
        told = self._running.get(session_id)
        return told.total if told else None

    async def final(self, session_id: UUID, *, wait: bool) -> Decimal | None:
        """Gross, in the operator's currency; None: not known.

        wait: a moment, since billing learns of the end while we answer.
        """
        known = session_id in self._final or session_id in self._checked
        if wait and not known and self._final_wait_s:
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

    def is_checked(self, session_id: UUID) -> bool:
        """Whether somebody must decide before its cost is final."""
        return session_id in self._checked

    async def _on_running(self, message: Msg) -> None:
        try:
            event = SessionCostUpdated.model_validate_json(message.data)
        except ValueError:
            log.exception("a cost could not be read")
            return
        before = self._running.get(event.session_id)
        # Two replicas of billing may tell in either order; what is over has its final sum.
        over = event.session_id in self._final or event.session_id in self._checked
        if over or (before and before.at > event.occurred_at):
            return
        told = _Told(event.total_gross, event.occurred_at)
        remember(self._running, event.session_id, told, RUNNING_MAX)
        if self.on_running:
            self.on_running(event)

    async def _on_reviewed(self, message: Msg) -> None:
        try:
            event = RecordReviewed.model_validate_json(message.data)
        except ValueError:
            log.exception("a review could not be read")
            return
        # What is corrected or void is taken back at once, and what counts instead is told after it.
        if event.review not in ("corrected", "void"):
            self._closed(event)

    async def _on_closed(self, message: Msg) -> None:
        try:
            event = RecordClosed.model_validate_json(message.data)
        except ValueError:
            log.exception("a record could not be read")
            return
        self._closed(event)

    def _closed(self, event: RecordClosed) -> None:
        self._running.pop(event.session_id, None)
        if event.kind == "cancellation":
            # What it takes back was no final cost; a correction, if there is one, comes after it.
            self._final.pop(event.session_id, None)
            self._checked.pop(event.session_id, None)
            return
        self._keep(event)
        if (future := self._waiting.get(event.session_id)) and not future.done():
            future.set_result(None)
        # What was corrected later is on a bill: nobody stands there any more.
        if event.kind == "session":
            tell = self.on_checked if event.review == "pending" else self.on_final
            if tell:
                tell(event)

    def _keep(self, event: RecordClosed) -> None:
        if event.review == "pending":
            # A decision may be heard before, for it is told by another subject.
            if event.session_id not in self._final:
                remember(self._checked, event.session_id, None, FINAL_MAX)
        else:
            self._checked.pop(event.session_id, None)
            remember(self._final, event.session_id, event.total_gross, FINAL_MAX)
