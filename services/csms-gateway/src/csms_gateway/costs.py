"""What billing says a session costs, for chargers with a display (OCPP 2.x, I02 and I03).

Heard over NATS by every replica and remembered for a while: a cost that was missed is only not
shown, never wrong, so nothing of it is stored here.
"""

import asyncio
import logging
from collections import OrderedDict
from decimal import Decimal
from typing import Final
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg

from common.events import RecordClosed, SessionCostUpdated

log = logging.getLogger(__name__)

REMEMBERED_MAX: Final = 50_000  # sessions; some 10 MB


class Costs:
    def __init__(self, final_wait_s: float) -> None:
        self._final_wait_s = final_wait_s
        self._running: OrderedDict[UUID, Decimal] = OrderedDict()
        self._final: OrderedDict[UUID, Decimal] = OrderedDict()
        self._waiting: dict[UUID, asyncio.Future[Decimal]] = {}

    async def listen(self, client: Client) -> None:
        await client.subscribe(SessionCostUpdated.subject, cb=self._on_running)
        await client.subscribe(RecordClosed.subject, cb=self._on_closed)

    async def of(self, session_id: UUID, *, final: bool) -> Decimal | None:
        """The gross sum in the operator's currency; None: not known.

        The final one is waited for a moment, since billing learns of the end while we answer.
        """
        if not final:
            return self._running.get(session_id)
        if session_id in self._final or not self._final_wait_s:
            return self._final.get(session_id)
        # A repeat of the same end on another socket waits for the same.
        future = self._waiting.setdefault(session_id, asyncio.get_running_loop().create_future())
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._final_wait_s)
        except TimeoutError:
            return None
        finally:
            self._waiting.pop(session_id, None)

    async def _on_running(self, message: Msg) -> None:
        try:
            event = SessionCostUpdated.model_validate_json(message.data)
        except ValueError:
            log.exception("a cost could not be read")
            return
        _remember(self._running, event.session_id, event.total_gross)

    async def _on_closed(self, message: Msg) -> None:
        try:
            event = RecordClosed.model_validate_json(message.data)
        except ValueError:
            log.exception("a record could not be read")
            return
        self._running.pop(event.session_id, None)
        _remember(self._final, event.session_id, event.total_gross)
        if (future := self._waiting.get(event.session_id)) and not future.done():
            future.set_result(event.total_gross)


def _remember(sums: OrderedDict[UUID, Decimal], session_id: UUID, total: Decimal) -> None:
    sums[session_id] = total
    sums.move_to_end(session_id)
    if len(sums) > REMEMBERED_MAX:
        sums.popitem(last=False)
