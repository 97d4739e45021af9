"""The one place that starts tasks, and watches every one of them."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

MOST_TASKS = (
    64  # a charger needs four, one a running session, and one for each command that takes time
)


class Tasks:
    """A charger's background work.

    A task that crashes cancels the block it was started in, and its error is raised out of that
    block. Leaving the block cancels what still runs. An error of the block itself is raised as it
    is, not in a group.
    """

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        return len(self._running) >= MOST_TASKS

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._group.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in list(self._running):
            task.cancel()
        cancelled = isinstance(error, asyncio.CancelledError)
        try:
            await self._group.__aexit__(
                kind if cancelled else None, error if cancelled else None, trace
            )
        except BaseExceptionGroup as crashes:
            if len(crashes.exceptions) == 1:
                raise crashes.exceptions[0] from None
            raise
