"""Calls of ours to a charger that wait for its answer, and how they end without one."""

import asyncio
from typing import Any
from uuid import uuid4

from prometheus_client import Counter

STRANGE = Counter("csms_gateway_strange_frames_total", "Frames that are none", ["what"])

Answer = asyncio.Future[dict[str, Any]]


class CallFailed(Exception):
    """The charger answered with CALLERROR, or would have to: it is held (standing.forbids)."""

    def __init__(self, code: str, description: str, details: dict[str, Any]) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.details = details


class NoAnswer(Exception):
    """The charger did not answer in time, or its connection closed."""

    def __init__(self, why: str, *, timed_out: bool = False) -> None:
        super().__init__(why)
        self.timed_out = timed_out


class Awaited:
    """Of one socket, by message id: the action and who waits for the answer."""

    __slots__ = ("_by_id",)  # a replica holds tens of thousands

    def __init__(self) -> None:
        self._by_id: dict[str, tuple[str, Answer]] = {}

    def add(self, action: str) -> tuple[str, Answer]:
        """A new message id and its answer."""
        message_id = str(uuid4())
        future: Answer = asyncio.get_running_loop().create_future()
        self._by_id[message_id] = (action, future)
        return message_id, future

    def remove(self, message_id: str) -> None:
        del self._by_id[message_id]

    def action_of(self, message_id: str) -> str | None:
        """Of the call of ours that this answers; None: not one under way."""
        action, _ = self._by_id.get(message_id, (None, None))
        return action

    def settle(self, message_id: str, answer: dict[str, Any] | CallFailed) -> None:
        _, future = self._by_id.get(message_id, (None, None))
        if future is None or future.done():
            # Late, or an answer to a call never made: known and harmless.
            STRANGE.labels("answer").inc()
        elif isinstance(answer, CallFailed):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def lose_all(self) -> None:
        for _, future in self._by_id.values():
            if not future.done():
                future.set_exception(NoAnswer("the connection closed"))
