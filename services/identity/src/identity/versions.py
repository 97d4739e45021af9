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


class IfMatchRequired(Problem):
    status = 428
    title = "Say which version you change"


class VersionChanged(Problem):
    status = 412
    title = "Changed in the meantime"


def _expected(
    if_match: Annotated[
        str | None, Header(description="the ETag of the state that the change is based on")
    ] = None,
) -> frozenset[int] | None:
    if if_match is None:
        raise IfMatchRequired("send If-Match with the ETag of the state you read")
    given = {one.strip() for one in if_match.split(",")}
    # Nine digits fit the column; a weak tag never matches.
    found = (re.fullmatch(r'"([0-9]{1,9})"', tag) for tag in given)
    return None if "*" in given else frozenset(int(tag[1]) for tag in found if tag)


# The versions that may be changed; None: any.
Expected = Annotated[frozenset[int] | None, Depends(_expected)]


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
    db: AsyncSession,
    table: type[Row],
    row_id: UUID,
    expected: frozenset[int] | None,
    values: dict[str, Any],
) -> Row:
    """The row after the change. Raises NotFound or VersionChanged."""
    statement = update(table).where(table.id == row_id)
    if expected is not None:
        # In the update itself: of two changes of one version only one finds it.
        statement = statement.where(table.version.in_(expected))
    changed = statement.values(**values, version=table.version + 1).returning(table)
    row = await db.scalar(changed)
    if row is None:
        now = await get(db, table, row_id)
        raise VersionChanged("read it again: it was changed since", version=now.version)
    return row
