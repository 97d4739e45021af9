"""Guessing passwords costs: after FAILURES_MAX wrong ones an address is refused for a while.

An attempt is counted before its password is checked and forgiven if it was right; otherwise a
hundred attempts at once would all pass the check of a count of zero. Unknown addresses are counted
alike, or the refusal would tell which exist.
"""

import asyncio
import hashlib
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import case, delete, not_, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.database import PLATFORM, Connections
from common.problems import Problem
from identity.tables import SignInFailure

FAILURES_MAX: Final = 5
WINDOW: Final = timedelta(minutes=15)  # in which the failures must fall
LOCKED: Final = timedelta(minutes=15)  # from the last failure on
PRUNE_EVERY_S: Final = 3600.0


class TooManyFailures(Problem):
    status = 429
    title = "Too many wrong passwords"
    headers = {"Retry-After": str(int(LOCKED.total_seconds()))}  # noqa: RUF012 - a constant


def _hash(email: str) -> bytes:
    return hashlib.sha256(email.encode()).digest()


async def count(db: AsyncSession, email: str) -> None:
    """Count an attempt; commit before checking the password. Raises TooManyFailures."""
    at = now()
    row = SignInFailure
    full = row.failures >= FAILURES_MAX
    # A full row that the condition below lets through has served its time.
    anew = or_(full, row.since_at <= at - WINDOW)
    counted = (
        insert(row)
        .values(email_hash=_hash(email), failures=1, since_at=at, last_at=at)
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


async def forgive(db: AsyncSession, email: str) -> None:
    """The password was right: what was counted is forgotten."""
    await db.execute(delete(SignInFailure).where(SignInFailure.email_hash == _hash(email)))


async def prune(connections: Connections) -> None:
    """Forget, every hour, what no longer counts."""
    while True:
        oldest: datetime = now() - WINDOW - LOCKED
        async with connections.begin(PLATFORM) as db:
            await db.execute(delete(SignInFailure).where(SignInFailure.last_at < oldest))
        await asyncio.sleep(PRUNE_EVERY_S)
