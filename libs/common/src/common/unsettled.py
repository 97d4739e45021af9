"""Who may still commit a number lower than one that is already to be seen.

A sequence gives its numbers before the commit, so they become visible in another order. Whoever
writes a table holds its RowExclusiveLock from before a number is taken until the row is to be seen
(PostgreSQL 13.3), so once those who hold it now are gone, nothing at or below a number that was
visible before is still to come. The writers pay nothing for it.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute

from common import paging
from common.auth import Principal
from common.database import PLATFORM, Connections

LOOK_EVERY_S: Final = 0.02  # a transaction lasts some milliseconds
WRITERS: Final = text("""
select virtualtransaction from pg_locks
where locktype = 'relation' and mode = 'RowExclusiveLock' and granted
    and relation = cast(:name as regclass)
    and database = (select oid from pg_database where datname = current_database())
""")

Row = TypeVar("Row", bound=DeclarativeBase)
Find = Callable[[AsyncSession, Select[Any]], Awaitable[Sequence[Row]]]


async def next_rows(
    connections: Connections,
    caller: Principal,
    query: Select[Any],
    number: InstrumentedAttribute[int],
    find: Find[Row],
    limit: int = paging.LIMIT_MAX,
) -> tuple[Sequence[Row], int | None]:
    """The next of a query by a number, so many of them and those that were not settled, and up
    to which number these are all. None: there are none.
    """
    query = query.order_by(number)
    async with connections.acting(caller) as db:
        seen = await find(db, query.limit(limit))
    if not seen:
        return seen, None
    until: int = getattr(seen[-1], number.key)
    await gone(connections, type(seen[-1]))
    async with connections.acting(caller) as db:
        return await find(db, query.where(number <= until)), until


async def _writers(connections: Connections, table: type[DeclarativeBase]) -> set[str]:
    async with connections.begin(PLATFORM) as db:
        return set(await db.scalars(WRITERS, {"name": table.__tablename__}))


async def gone(
    connections: Connections, table: type[DeclarativeBase], within_s: float = math.inf
) -> bool:
    """Return when all who write the table now have committed or given up; False: not within that
    time.
    """
    until = time.monotonic() + within_s
    waited_for = await _writers(connections, table)
    while waited_for and time.monotonic() < until:
        await asyncio.sleep(LOOK_EVERY_S)
        waited_for &= await _writers(connections, table)
    return not waited_for
