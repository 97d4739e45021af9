"""Links in mails: each carries a token that is good once, of which a hash is kept.

The token is as long as a key, so whoever has it may be told what is wrong with it.
"""

from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from pydantic import Field
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.database import PLATFORM, Connections
from common.problems import Problem
from identity.staff import tokens
from identity.tables import EmailChange, Invitation, PasswordReset, Registration
from identity.tables.links import LinkColumns

Row = TypeVar("Row", bound=LinkColumns)

# Of those that are over, so that who comes late is told so and staff see what was.
INVITATION_KEPT: Final = timedelta(days=90)
KEPT: Final = timedelta(days=1)


class LinkUnknown(Problem):
    status = 404
    title = "This link is unknown"


class LinkUsed(Problem):
    status = 410
    title = "This link was used already"


class LinkExpired(Problem):
    status = 410
    title = "This link is no longer good"


Token = Annotated[
    str, Field(min_length=1, max_length=100, description="what stands behind #token= in the link")
]


def columns(token: str, lasts: timedelta) -> dict[str, Any]:
    """Of LinkColumns, for a token that is made now."""
    at = now()
    return {"token_hash": tokens.hashed(token), "made_at": at, "expires_at": at + lasts}


async def find(db: AsyncSession, table: type[Row], token: str, *, lock: bool = True) -> Row:
    """The row, locked: of two who open one link, the second finds it used.

    db must see the platform. Raises LinkUnknown, LinkUsed or LinkExpired.
    """
    query = select(table).where(table.token_hash == tokens.hashed(token))
    row = await db.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise LinkUnknown("ask for another")
    if row.used_at is not None:
        raise LinkUsed("sign in, or ask for another")
    if row.expires_at <= now():
        raise LinkExpired("ask for another")
    return row


async def prune_once(connections: Connections) -> None:
    """What is over. Confirmed registrations stay as long as their user."""
    at = now()
    async with connections.begin(PLATFORM) as db:
        await db.execute(delete(Invitation).where(Invitation.expires_at < at - INVITATION_KEPT))
        await db.execute(delete(PasswordReset).where(PasswordReset.expires_at < at - KEPT))
        await db.execute(delete(EmailChange).where(EmailChange.expires_at < at - KEPT))
        # A stranger's name and password: not an hour longer than the link is good.
        unconfirmed = Registration.used_at.is_(None)
        await db.execute(delete(Registration).where(unconfirmed, Registration.expires_at <= at))


async def void_resets(db: AsyncSession, login_id: UUID, *, but: UUID | None = None) -> None:
    """Links that were sent must not undo what changed at the login since."""
    others = delete(PasswordReset).where(PasswordReset.login_id == login_id)
    await db.execute(others if but is None else others.where(PasswordReset.id != but))
