"""Lists are read page by page, by key: a page costs the same wherever it stands."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from common.clock import EARLIEST, LATEST
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


def given(wanted: Mapping[Any, Any]) -> list[ColumnElement[bool]]:
    """What a list is asked for, value by column; None asks for nothing."""
    return [column == value for column, value in wanted.items() if value is not None]


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


async def sorted_rows(
    db: AsyncSession,
    query: Select[Any],
    by: InstrumentedAttribute[Any],
    key: InstrumentedAttribute[Any],
    *,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
    descending: bool = True,
) -> tuple[list[Any], str | None]:
    """By a column that is never null, and rows that are alike there by their key."""
    place: dict[str, Any] = {"limit": limit, "cursor": cursor, "descending": descending}
    found, after = await sorted_pairs(db, query, by, key, **place)
    return [row for row, _ in found], after


async def sorted_pairs(
    db: AsyncSession,
    query: Select[Any],
    by: ColumnElement[Any] | InstrumentedAttribute[Any],
    key: InstrumentedAttribute[Any],
    *,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
    descending: bool = True,
) -> tuple[list[tuple[Any, Any]], str | None]:
    """The same by what is no column of the entity: each with its value of it."""
    if cursor is not None:
        place = tuple_(*_place(cursor, by, key))
        here = tuple_(by, key)
        query = query.where(here < place if descending else here > place)
    order = [column.desc() if descending else column.asc() for column in (by, key)]
    query = query.add_columns(by).order_by(*order).limit(limit + 1)
    found = [(row, value) for row, value in (await db.execute(query)).all()]
    if len(found) <= limit:
        return found, None
    last, value = found[limit - 1]
    return found[:limit], encode(f"{by.key} {getattr(last, key.key)} {value}")


def _place(
    cursor: str,
    by: ColumnElement[Any] | InstrumentedAttribute[Any],
    key: InstrumentedAttribute[Any],
) -> list[Any]:
    """Where a page before ended: a value of the column, and a key. Raises InvalidCursor."""
    try:
        name, row_id, value = str(decode(cursor, str)).split(" ", 2)
        if name != by.key:
            raise ValueError(name)
        return [
            literal(_read(told, column.type.python_type), column.type)
            for told, column in ((value, by), (row_id, key))
        ]
    except (ValueError, ArithmeticError, TypeError) as error:
        raise InvalidCursor("use next_cursor of an earlier page of the same list") from error


def _read(value: str, kind: type[Any]) -> Any:
    """What str made of a column's value. Raises ValueError, ArithmeticError."""
    if kind is UUID:
        return UUID(value)
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if not EARLIEST <= moment < LATEST:
            raise ValueError(value)
        return moment
    number = kind(value)
    if not abs(number) < 2**63:  # beyond it nothing is stored; not a number neither
        raise ValueError(value)
    return number
