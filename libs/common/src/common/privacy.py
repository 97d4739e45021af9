"""What services do alike when people want their data, or want to be forgotten.

A session outlives the person: the operator must account for it for years. What names the person
(the token, and with it all that identity knows of its card) goes; the session stays under a
pseudonym.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic_core import to_jsonable_python
from sqlalchemy import DateTime, RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from common import outbox
from common.events import PersonalDataCollected, PersonalDataRequested

ERASED: Final = "ERASED-"
# What is under way when somebody is forgotten (a session, a message that a charger sends again)
# still needs its token; the daily job comes back to it until it has forgotten the token itself.
SETTLED: Final = timedelta(days=1)
TOKEN_KEPT: Final = timedelta(days=3)
PART_BYTES_MAX: Final = 400_000  # NATS takes 1 MiB
ROWS_MAX: Final = 100_000  # of one file; the newest
SWEEP_EVERY_S: Final = 3600.0

Files = Mapping[str, Sequence[RowMapping]]


class TombstoneColumns:
    """A card of somebody who was erased; uid is null once nothing can come under it any more."""

    __tablename__ = "tombstone"

    card_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    uid: Mapped[str | None]
    erased_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def pseudonym(card_id: UUID) -> str:
    """What stands for a card's uid once its person is erased; OCPP 1.6 takes 20 characters."""
    return ERASED + card_id.hex[-12:].upper()


async def every_hour(sweep_once: Callable[[], Awaitable[None]]) -> None:
    while True:
        await sweep_once()
        await asyncio.sleep(SWEEP_EVERY_S)


async def read_files(
    db: AsyncSession, questions: Mapping[str, str], values: Mapping[str, Any]
) -> Files:
    """What each file's question finds; each names of the values what it needs."""
    files: dict[str, Sequence[RowMapping]] = {}
    for name, question in questions.items():
        wanted = {key: value for key, value in values.items() if f":{key}" in question}
        files[name] = (await db.execute(text(question), wanted)).mappings().all()
    return files


async def tell_collected(
    db: AsyncSession, request: PersonalDataRequested, service: str, files: Files
) -> None:
    """Answer a request with what the service keeps, in parts that NATS can carry."""
    pieces = [piece for file, rows in files.items() for piece in _pieces(file, rows)]
    pieces = pieces or [("nothing", [])]
    await outbox.emit(
        db,
        *(
            PersonalDataCollected(
                operator_id=request.operator_id,
                request_id=request.request_id,
                service=service,
                part=number,
                parts=len(pieces),
                file=file,
                rows=tuple(rows),
            )
            for number, (file, rows) in enumerate(pieces)
        ),
    )


def _pieces(file: str, rows: Sequence[RowMapping]) -> list[tuple[str, list[dict[str, Any]]]]:
    pieces: list[tuple[str, list[dict[str, Any]]]] = []
    size = PART_BYTES_MAX
    for row in rows:
        told = to_jsonable_python(dict(row))
        length = len(orjson.dumps(told))
        if size + length > PART_BYTES_MAX:
            pieces.append((file, []))
            size = 0
        pieces[-1][1].append(told)
        size += length
    return pieces
