"""Ways to sign in that take two requests: what was begun waits in the database for some minutes.

Anybody may begin, so it is bounded by network.
"""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import client
from common.clock import now
from common.problems import Problem

LASTS: Final = timedelta(minutes=5)  # people look for their phone
OPEN_MAX: Final = 100  # of a network; an office that comes to work at nine is below it


class TooManyBegun(Problem):
    status = 429
    title = "Too many sign-ins were begun and not finished"
    headers = {"Retry-After": str(int(LASTS.total_seconds()))}  # noqa: RUF012 - a constant


async def admit(db: AsyncSession, table: Any, lasts: timedelta = LASTS) -> dict[str, Any]:
    """The columns network and expires_at of a new row; what is over goes. Raises TooManyBegun."""
    at = now()
    network = client.network(client.address.get())
    await db.execute(delete(table).where(table.expires_at <= at))
    begun = select(func.count()).select_from(table).where(table.network == network)
    if (await db.scalar(begun) or 0) >= OPEN_MAX:
        raise TooManyBegun("wait some minutes")
    return {"network": network, "expires_at": at + lasts}
