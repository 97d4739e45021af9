"""The one place where background tasks are made: an unwatched task that raises dies in silence."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

RESTART_DELAY_S = 1.0
CANCEL_AGAIN_S = 0.5


class Tasks:
    """Tasks that are logged when they fail and cancelled together."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str | None = None) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def forever(self, loop: Callable[[], Awaitable[None]], name: str) -> asyncio.Task[Any]:
        """Run a loop and start it again when it raises."""
        return self.spawn(_forever(loop, name), name)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task %s failed", task.get_name(), exc_info=error)

    async def stop(self) -> None:
        await cancelled(*self._running)


async def cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel them until they have ended, in whatever way. Once may not be enough: before Python
    3.12 asyncio.wait_for can lose a cancellation that comes together with its result.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _forever(loop: Callable[[], Awaitable[None]], name: str) -> None:
    while True:
        try:
            await loop()
        except Exception as error:
            log.warning("%s stopped (%s: %s); going on", name, type(error).__name__, error)
            log.debug("%s stopped", name, exc_info=True)
        await asyncio.sleep(RESTART_DELAY_S)
