"""Passwords as argon2id, worked out beside the event loop and few at a time."""

import asyncio
import unicodedata
from collections.abc import Callable
from typing import Annotated, Final

import argon2
from fastapi import Depends, Request

from common.problems import Problem

# 64 MiB and 4 passes on one thread: 0.25 s on the reference machine (measured 2026-11), above
# RFC 9106's second choice. One thread each, for two run side by side on two cores.
MEMORY_KIB: Final = 64 * 1024
PASSES: Final = 4
AT_ONCE_MAX: Final = 2  # 128 MiB and two cores at most
WAITING_MAX: Final = 20  # the last of them waits 2.5 s; beyond that, come back later


class TooManySignIns(Problem):
    status = 503
    title = "Too many are signing in at once"
    headers = {"Retry-After": "5"}  # noqa: RUF012 - a constant of the class


class Hasher:
    """The one place that hashes; one a process, so that its limits hold for the process."""

    def __init__(self) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1
        )
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)
        self._inside = 0
        # Nobody's password; checked when the e-mail is unknown, so that the answer takes as long.
        self._dummy = self._argon2.hash("nobody's password")

    def refuse_if_full(self) -> None:
        """Raises TooManySignIns."""
        if self._inside >= AT_ONCE_MAX + WAITING_MAX:
            raise TooManySignIns("try again in some seconds")

    async def hash(self, password: str) -> str:
        """Raises TooManySignIns."""
        return str(await self._beside(self._argon2.hash, _normal(password)))

    async def matches(self, hashed: str | None, password: str) -> bool:
        """hashed: None takes the time of a check and is never right. Raises TooManySignIns."""
        right = await self._beside(self._verify, hashed or self._dummy, _normal(password))
        return bool(right) and hashed is not None

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._argon2.verify(hashed, password)
        except argon2.exceptions.VerifyMismatchError:
            return False

    async def _beside(self, work: Callable[..., object], *arguments: str) -> object:
        self.refuse_if_full()
        self._inside += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._inside -= 1


def _normal(password: str) -> str:
    # The same keys give an ü as one or two code points by keyboard (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)


def _of_app(request: Request) -> Hasher:
    hasher: Hasher = request.app.state.hasher
    return hasher


Hashing = Annotated[Hasher, Depends(_of_app)]
