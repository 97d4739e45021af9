"""Background tasks stop when they are told to, and are not lost when they fail."""

import asyncio
import logging

import pytest
from stack import eventually

from common.tasks import Tasks


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    tasks = Tasks()
    lost = 0

    async def stubborn() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost += 1
                if lost > 1:
                    raise

    tasks.spawn(stubborn())
    await asyncio.sleep(0)
    await asyncio.wait_for(tasks.stop(), 5)
    assert lost == 2


async def test_a_loop_that_fails_is_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("common.tasks.RESTART_DELAY_S", 0.01)
    tasks = Tasks()
    runs = 0

    async def failing() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError("once more")
        await asyncio.sleep(60)

    with caplog.at_level(logging.WARNING):
        tasks.forever(failing, "a loop")

        async def thrice() -> bool:
            return runs >= 3

        await eventually(thrice)
    assert runs == 3
    assert "a loop stopped (ValueError: once more)" in caplog.text
    await tasks.stop()


async def test_a_task_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()

    async def failing() -> None:
        raise ValueError("nobody waits for me")

    tasks.spawn(failing(), "lonely")

    async def logged() -> bool:
        return "task lonely failed" in caplog.text

    await eventually(logged)
    await tasks.stop()
