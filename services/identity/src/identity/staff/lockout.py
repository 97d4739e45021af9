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
from uuid import UUID

from sqlalchemy import case, delete, not_, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import audit
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


# What an audit log says of a lock.
FROM_A_NETWORK: Final = "the login from this network"
FROM_EVERYWHERE: Final = "the login from everywhere"
A_NETWORK: Final = "every login from this network"


class TooManyFailures(Problem):
    status = 429
    title = "Too many wrong passwords"
    headers = {"Retry-After": str(int(LOCKED.total_seconds()))}  # noqa: RUF012 - a constant


class Attempt(NamedTuple):
    whom: str  # the e-mail address, or what else is guessed at
    network: str  # common.client.network

    def counts(self) -> tuple[tuple[bytes, int, str], ...]:
        """What the attempt counts for, how many of it are borne, and what is refused then.

        The narrower first. One that is of no network is not all networks' fault.
        """
        counted = (
            (_hash(f"{self.whom}\0{self.network}"), FAILURES_MAX, FROM_A_NETWORK),
            (_hash(self.whom), GUESSED_MAX, FROM_EVERYWHERE),
            (self.sprayed(), SPRAYED_MAX, A_NETWORK),
        )
        return counted if self.network else counted[:2]

    def sprayed(self) -> bytes:
        return _hash(f"\0{self.network}")


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def count(db: AsyncSession, attempt: Attempt) -> tuple[str, ...]:
    """Count an attempt; commit before checking the password. Raises TooManyFailures.

    Returns what will be refused if this one fails; give it to failed then.
    """
    counts = attempt.counts()
    return tuple([what for key, most, what in counts if await _count(db, key, most) >= most])


async def failed(
    connections: Connections,
    attempt: Attempt,
    refused: tuple[str, ...],
    of: UUID | None,
    operator_id: UUID | None,
) -> None:
    """Note in the audit log what an attempt on a login locked; of: None, there is no such login.

    Of addresses that do not exist nothing is noted: anybody could fill the log with them.
    """
    for what in refused:
        if what == A_NETWORK:
            key, whose = {"network": attempt.network}, None
        elif of is not None:
            key, whose = {"id": str(of)}, operator_id
        else:
            continue
        async with connections.begin(PLATFORM) as db:
            told = {"refused": what, "until": (now() + LOCKED).isoformat()}
            table = "network" if what == A_NETWORK else "login"
            await audit.note(
                db, table, key, "lockout",
                operator_id=whose, sub="unknown", role="nobody", after=told,
            )  # fmt: skip


async def first(db: AsyncSession, what: str) -> bool:
    """Whether this happens for the first time in LOCKED; for what is not to be noted too often."""
    try:
        await _count(db, _hash(what), 1)
    except TooManyFailures:
        return False
    return True


async def _count(db: AsyncSession, key: bytes, most: int) -> int:
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
    failures = await db.scalar(counted)
    if failures is None:
        raise TooManyFailures("wait a quarter of an hour and try again")
    return failures


async def forgive(db: AsyncSession, attempt: Attempt) -> None:
    """The password was right: what was counted is forgotten; of its network this attempt only."""
    row = SignInFailure
    await unlock(db, attempt)
    less = update(row).where(row.email_hash == attempt.sprayed(), row.failures > 0)
    await db.execute(less.values(failures=row.failures - 1))


async def unlock(db: AsyncSession, attempt: Attempt) -> None:
    """What was counted for the address is forgotten, of its network nothing."""
    # One by one in the order of count, so that two never wait for each other crosswise.
    for key, _, _ in attempt.counts():
        if key != attempt.sprayed():
            await db.execute(delete(SignInFailure).where(SignInFailure.email_hash == key))


async def prune(connections: Connections) -> None:
    """Forget, every hour, what no longer counts."""
    while True:
        oldest: datetime = now() - WINDOW - LOCKED
        async with connections.begin(PLATFORM) as db:
            await db.execute(delete(SignInFailure).where(SignInFailure.last_at < oldest))
        await asyncio.sleep(PRUNE_EVERY_S)
