"""Guessing passwords costs: after some wrong ones an address is refused for a while.

From one network FAILURES_MAX; from all of them together GUESSED_MAX, so that nobody can lock out
somebody else from their own desk with a handful of guesses, and many machines together still cannot
guess on. And a network that fails SPRAYED_MAX times, at whatever addresses, is refused as a whole:
one password tried at everybody is guessing too.

An attempt is counted before its password is checked and forgiven if it was right; otherwise a
hundred attempts at once would all pass the check of a count of zero. Unknown addresses are counted
alike, or the refusal would tell which exist.
"""

import asyncio
import hashlib
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import case, delete, not_, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.database import PLATFORM, Connections
from common.problems import Problem
from identity.tables import SignInFailure

FAILURES_MAX: Final = 5
GUESSED_MAX: Final = 100
SPRAYED_MAX: Final = 300
WINDOW: Final = timedelta(minutes=15)  # in which the failures must fall
LOCKED: Final = timedelta(minutes=15)  # from the last failure on
PRUNE_EVERY_S: Final = 3600.0


class TooManyFailures(Problem):
    status = 429
    title = "Too many wrong passwords"
    headers = {"Retry-After": str(int(LOCKED.total_seconds()))}  # noqa: RUF012 - a constant


class Attempt(NamedTuple):
    whom: str  # the e-mail address, or what else is guessed at
    network: str  # common.client.network

    def counts(self) -> tuple[tuple[bytes, int], ...]:
        """What the attempt counts for, and how many of it are borne; the narrower first."""
        return (
            (_hash(f"{self.whom}\0{self.network}"), FAILURES_MAX),
            (_hash(self.whom), GUESSED_MAX),
            (self.sprayed(), SPRAYED_MAX),
        )

    def sprayed(self) -> bytes:
        return _hash(f"\0{self.network}")


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def count(db: AsyncSession, attempt: Attempt) -> None:
    """Count an attempt; commit before checking the password. Raises TooManyFailures."""
    for key, most in attempt.counts():
        await _count(db, key, most)


async def _count(db: AsyncSession, key: bytes, most: int) -> None:
    at = now()
    row = SignInFailure
    full = row.failures >= most
    # A full row that the condition below lets through has served its time.
    anew = or_(full, row.since_at <= at - WINDOW)
    counted = (
        insert(row)
        .values(email_hash=key, failures=1, since_at=at, last_at=at)
        .on_conflict_do_update(
            index_elements=[row.email_hash],
            set_={
                "failures": case((anew, 1), else_=row.failures + 1),
                "since_at": case((anew, at), else_=row.since_at),
                "last_at": at,
            },
            where=not_(full & (row.last_at > at - LOCKED)),
        )
        .returning(row.failures)
    )
    if await db.scalar(counted) is None:
        raise TooManyFailures("wait a quarter of an hour and try again")


async def forgive(db: AsyncSession, attempt: Attempt) -> None:
    """The password was right: what was counted is forgotten; of its network this attempt only."""
    row = SignInFailure
    await unlock(db, attempt)
    less = update(row).where(row.email_hash == attempt.sprayed(), row.failures > 0)
    await db.execute(less.values(failures=row.failures - 1))


async def unlock(db: AsyncSession, attempt: Attempt) -> None:
    """What was counted for the address is forgotten, of its network nothing."""
    # One by one in the order of count, so that two never wait for each other crosswise.
    for key, _ in attempt.counts():
        if key != attempt.sprayed():
            await db.execute(delete(SignInFailure).where(SignInFailure.email_hash == key))


async def prune(connections: Connections) -> None:
    """Forget, every hour, what no longer counts."""
    while True:
        oldest: datetime = now() - WINDOW - LOCKED
        async with connections.begin(PLATFORM) as db:
            await db.execute(delete(SignInFailure).where(SignInFailure.last_at < oldest))
        await asyncio.sleep(PRUNE_EVERY_S)
