"""Updates of one row by its version: ETag on reading, If-Match on writing (RFC 9110, 13.1.1)."""

import re
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Response
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from common.problems import NotFound, Problem
from identity.tables import Versioned

Row = TypeVar("Row", bound=Versioned)


class VersionRequired(Problem):
    status = 428
    title = "Say which version you change"


class VersionStale(Problem):
    status = 412
    title = "Changed meanwhile"


def _expected(
    if_match: Annotated[str | None, Header(description='the ETag you read, such as "3"')] = None,
) -> int:
    if if_match is None:
        raise VersionRequired("send the header If-Match with the ETag of what you read")
    found = re.fullmatch(r'"([0-9]{1,9})"', if_match.strip())
    if found is None:
        raise VersionStale("If-Match is not an ETag of ours")
    return int(found[1])


Expected = Annotated[int, Depends(_expected)]


def tagged(response: Response, row: Row) -> Row:
    response.headers["ETag"] = f'"{row.version}"'
    return row


async def get(db: AsyncSession, table: type[Row], row_id: UUID) -> Row:
    """Raises NotFound, for another operator's row too."""
    row = await db.get(table, row_id)
    if row is None:
        raise NotFound(f"there is no {table.__name__.lower()} with the id {row_id}")
    return row


async def change(
    db: AsyncSession, table: type[Row], row_id: UUID, version: int, values: dict[str, Any]
) -> Row:
    """The row after the change. Raises NotFound or VersionStale."""
    statement = (
        update(table)
        .where(table.id == row_id, table.version == version)
        .values(**values, version=version + 1)
        .returning(table)
        # A row read before in this transaction is the same object and must show the change.
        .execution_options(populate_existing=True)
    )
    row = await db.scalar(statement)
    if row is None:
        now = await get(db, table, row_id)
        raise VersionStale(f"the version is {now.version} by now", version=now.version)
    return row
