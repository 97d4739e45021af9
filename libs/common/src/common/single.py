"""One row read by its id, or changed if it still has the version that the caller read."""

import re
from typing import Any, TypeVar
from uuid import UUID

from fastapi import Response
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from common import versions
from common.ids import uuid7
from common.problems import NotFound


class VersionedColumns:
    """Of a row people change; its version grows by one each time and is its ETag."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    version: Mapped[int] = mapped_column(default=1)


Row = TypeVar("Row", bound=VersionedColumns)


def tagged(response: Response, row: Row) -> Row:
    versions.tag(response, row.version)
    return row


async def get(db: AsyncSession, table: type[Row], row_id: UUID) -> Row:
    """Raises NotFound, for another operator's row too."""
    row = await db.get(table, row_id)
    if row is None:
        raise NotFound(f"there is no {_words(table)} with the id {row_id}")
    return row


def _words(table: type[Row]) -> str:
    """AccountingStrategy: accounting strategy."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", table.__name__).lower()


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
        raise versions.changed(now.version)
    return row
