"""What anybody may ask for by mail, without telling the asker who is known here.

The answer is the same, and comes after the same time, whether a mail is sent or not. Who asks is
bounded by address and network, apart from sign-ins: many who forgot their password lock nobody out.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common import client
from common.clock import now
from common.database import PLATFORM, Connections
from common.problems import Problem
from identity.staff import lockout
from identity.tables import Mail

# A transaction with a mail takes 10 to 20 ms (measured 2026-11); the rest is for busy days.
ANSWERED_AFTER_S: Final = 0.3
# To one address of one operator. Beyond it the mails that came are good still.
MAILS_AN_HOUR: Final = 5


class AskedTooOften(Problem):
    status = 429
    title = "This was asked for too often"
    headers = {"Retry-After": str(int(lockout.LOCKED.total_seconds()))}  # noqa: RUF012 - a constant


class MailAsked(BaseModel):
    valid_s: int = Field(
        description="how long the link in the mail is good, if one is sent; seconds"
    )


def answer(lasts: timedelta) -> MailAsked:
    return MailAsked(valid_s=int(lasts.total_seconds()))


async def admit(connections: Connections, what: str, operator_id: UUID | None, email: str) -> None:
    """Raises AskedTooOften, for unknown addresses alike."""
    network = client.network(client.address.get())
    attempt = lockout.Attempt(f"{what} {operator_id} {email}", f"{what} {network}")
    async with connections.begin(PLATFORM) as db:
        try:
            await lockout.count(db, attempt)
        except lockout.TooManyFailures:
            raise AskedTooOften("wait a quarter of an hour and try again") from None


async def enough(db: AsyncSession, operator_id: UUID | None, email: str) -> bool:
    """Whether the address got as many mails in the last hour as one may; db must see them.

    Of two who ask at once, the second waits until the first's mail is there.
    """
    await db.execute(text("select pg_advisory_xact_lock(hashtext(:to))"), {"to": f"mail {email}"})
    lately = (
        select(func.count())
        .select_from(Mail)
        .where(
            Mail.operator_id.is_not_distinct_from(operator_id),
            Mail.recipient == email,
            Mail.made_at > now() - timedelta(hours=1),
        )
    )
    return (await db.scalar(lately) or 0) >= MAILS_AN_HOUR


@asynccontextmanager
async def alike() -> AsyncIterator[None]:
    """What is done within takes as long whatever it is."""
    started = time.monotonic()
    yield
    await asyncio.sleep(max(0.0, started + ANSWERED_AFTER_S - time.monotonic()))
