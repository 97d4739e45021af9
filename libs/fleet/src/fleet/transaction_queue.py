"""Transaction messages: delivered in order, one by one, however long the server is away.

OCPP 1.6, 3.7.1; OCPP 2.0.1, E04: a charger keeps them while offline and sends them in the order
they happened; one that the server fails to process is tried again. The retry carries a new message
id, as real chargers do it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from fleet.dialect import Payload
from fleet.link import CallFailed, Refused

log = logging.getLogger(__name__)

LONGEST_DELAY_S = 60  # a server that comes back should not wait longer for what it missed


class QueueFull(Exception):
    """There is no room for another transaction."""


class Kind(Enum):
    """What a message is to its transaction."""

    START = 1
    UPDATE = 2
    STOP = 3


@dataclass(eq=False)
class Report:
    """One message. `payload` is rendered for each try, because the transaction's id may come late.

    `on_answer` gets the answer, or None when the message was given up.
    """

    action: str
    payload: Callable[[], Payload]
    on_answer: Callable[[Payload | None], None]
    kind: Kind

    @property
    def droppable(self) -> bool:
        """Whether it may be lost for want of room: a start or a stop may not (OCPP 1.6, 3.7.1)."""
        return self.kind is Kind.UPDATE


@dataclass(frozen=True)
class Retry:
    """How often a refused message is tried and how long is waited, times the number of tries.

    A message is tried without limit while the server says InternalError, says nothing, or is away.
    """

    attempts: int = 3
    delay_s: float = 1


class TransactionQueue:
    """Holds `size` messages, and a stop for each connector beyond that.

    When it is full the newest meter values are dropped, and older ones make room for a start or a
    stop.
    """

    def __init__(self, size: int, retry: Retry) -> None:
        self.size = size
        self.retry = retry
        self.dropped = 0
        self.empty = asyncio.Event()
        self.empty.set()
        self._waiting: deque[Report] = deque()
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, report: Report) -> None:
        """Append a message, or drop it if it is droppable and there is no room.

        Raises QueueFull for a start that has no room.
        """
        if len(self._waiting) >= self.size and not self._make_room(report):
            return
        self._waiting.append(report)
        self.empty.clear()
        self._arrived.set()

    def payloads(self) -> list[Payload]:
        """What waits, as it would be sent now."""
        return [report.payload() for report in self._waiting]

    async def room(self, share: float = 0.5) -> None:
        """Wait until no more than this share of the queue is used."""
        while len(self._waiting) > self.size * share:
            self._left.clear()
            await self._left.wait()

    async def deliver(
        self, ready: asyncio.Event, call: Callable[[str, Payload, int], Awaitable[Payload]]
    ) -> NoReturn:
        """Send messages for ever. `call` gets action, payload and the number of tries before."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            report = self._waiting[0]
            answer = await self._deliver(report, ready, call)
            self._waiting.popleft()
            self._left.set()
            report.on_answer(answer)
            if not self._waiting:
                self.empty.set()

    async def _deliver(
        self,
        report: Report,
        ready: asyncio.Event,
        call: Callable[[str, Payload, int], Awaitable[Payload]],
    ) -> Payload | None:
        tries = refusals = 0
        while True:
            await ready.wait()
            try:
                return await call(report.action, report.payload(), tries)
            except CallFailed as error:
                log.info("%s was not delivered: %s", report.action, error)
                refusals += isinstance(error, Refused) and error.code != "InternalError"
            if refusals >= self.retry.attempts:
                log.warning("%s was given up after %d tries", report.action, tries + 1)
                return None
            tries += 1
            await asyncio.sleep(min(self.retry.delay_s * tries, LONGEST_DELAY_S))

    def _make_room(self, report: Report) -> bool:
        if not report.droppable:
            # The first may be on its way to the server.
            for old in list(self._waiting)[1:]:
                if old.droppable:
                    self._waiting.remove(old)
                    self.dropped += 1
                    return True
            if report.kind is Kind.START:
                raise QueueFull("the queue of transaction messages is full")
            return True
        self.dropped += 1
        return False
