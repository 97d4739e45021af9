"""Lists are read page by page, by key: a page costs the same wherever it stands."""

import base64
import binascii
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from common.problems import Problem

T = TypeVar("T")

LIMIT_MAX = 500
LIMIT_DEFAULT = 50

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="items a page")]
Cursor = Annotated[str | None, Query(max_length=400, description="next_cursor of the page before")]


class InvalidCursor(Problem):
    status = 422
    title = "Invalid cursor"


class Page(BaseModel, Generic[T]):
    items: list[T]
    next_cursor: str | None = None


def encode(key: object) -> str:
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def decode(cursor: str, kind: type[Any]) -> Any:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        value = raw.decode()
        if "\0" in value:  # PostgreSQL's text holds none
            raise InvalidCursor("use next_cursor of an earlier page, unchanged")
        return value if kind is str else kind(value)
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise InvalidCursor("use next_cursor of an earlier page, unchanged") from error


async def rows(
    db: AsyncSession,
    query: Select[Any],
    key: InstrumentedAttribute[Any],
    *,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
    newest_first: bool = False,
) -> tuple[list[Any], str | None]:
    """One page of entities in the order of a unique key column, and the cursor to the next."""
    if cursor is not None:
        kind = UUID if key.type.python_type is UUID else key.type.python_type
        after = decode(cursor, kind)
        query = query.where(key < after if newest_first else key > after)
    query = query.order_by(key.desc() if newest_first else key.asc()).limit(limit + 1)
    found = list((await db.scalars(query)).all())
    if len(found) <= limit:
        return found, None
    return found[:limit], encode(getattr(found[limit - 1], key.key))
