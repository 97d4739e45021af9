"""Who may still commit a number lower than one that is already to be seen.

A sequence gives its numbers before the commit, so they become visible in another order. Whoever
writes a table holds its RowExclusiveLock from before a number is taken until the row is to be seen
(PostgreSQL 13.3), so once those who hold it now are gone, nothing at or below a number that was
visible before is still to come. The writers pay nothing for it.
"""

import asyncio
from typing import Final

from sqlalchemy import text

from common.database import PLATFORM, Connections
from csms_gateway.tables.declarative import Table

LOOK_EVERY_S: Final = 0.02  # a transaction lasts some milliseconds
WRITERS: Final = text("""
select virtualtransaction from pg_locks
where locktype = 'relation' and mode = 'RowExclusiveLock' and granted
    and relation = cast(:name as regclass)
    and database = (select oid from pg_database where datname = current_database())
""")


async def _writers(connections: Connections, table: type[Table]) -> set[str]:
    async with connections.begin(PLATFORM) as db:
        return set(await db.scalars(WRITERS, {"name": table.__tablename__}))


async def gone(connections: Connections, table: type[Table]) -> None:
    """Return when all who write the table now have committed or given up."""
    waited_for = await _writers(connections, table)
    while waited_for:
        await asyncio.sleep(LOOK_EVERY_S)
        waited_for &= await _writers(connections, table)
