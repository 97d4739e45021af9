"""A POST that may be sent again: by its Idempotency-Key the first one's answer is found.

Each route keeps the key with what it made, unique an operator, and what was asked: as it is
(AskedOnceColumns), or a digest of it.
"""

import hashlib
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from fastapi import Header
from pydantic import BaseModel
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from common.problems import Problem

KEY_MAX: Final = 80
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=KEY_MAX,
        # PostgreSQL's text holds no NUL, and a header no line break.
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="one's own word for this request; a repeat with the same key gets the answer "
        "of the first and does nothing",
    ),
]


class IdempotencyKeyReused(Problem):
    status = 422
    title = "Idempotency key already used for something else"


def digest(path: str, body: BaseModel) -> str:
    """Of what is asked: a repeat has the same. path: with the ids in it."""
    said = f"{path}\n{body.model_dump_json(exclude_unset=True)}"
    return hashlib.sha256(said.encode()).hexdigest()


def require_same(asked: str, before: str) -> None:
    """Raises IdempotencyKeyReused if something else was asked with the key before."""
    if asked != before:
        raise IdempotencyKeyReused("take a new key for what is not the same request")


class AskedOnceColumns:
    """Of a row that is made by such a route; unique (operator_id, idempotency_key)."""

    operator_id: Mapped[UUID]
    idempotency_key: Mapped[str | None]  # None: it was not asked for by REST
    asked: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


Row = TypeVar("Row", bound=AskedOnceColumns)

# Who sends the same key at once waits here, and then finds the row.
ALONE: Final = text("select pg_advisory_xact_lock(hashtextextended(:key, 0))")


async def made_before(
    db: AsyncSession, table: type[Row], operator_id: UUID, key: str, asked: dict[str, Any]
) -> Row | None:
    """The row that was made with the key. asked: what is asked for now, as JSON.

    Raises IdempotencyKeyReused.
    """
    await db.execute(ALONE, {"key": f"{operator_id} {table.__name__} {key}"})
    query = select(table).where(table.operator_id == operator_id, table.idempotency_key == key)
    row = await db.scalar(query)
    if row is not None and row.asked != asked:
        raise IdempotencyKeyReused("take a new Idempotency-Key for what is new")
    return row
