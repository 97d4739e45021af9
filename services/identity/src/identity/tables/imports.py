"""Files of people and cards: what they would do, kept until it is done or too old."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from identity.tables.declarative import Table


class PeopleImport(Table):
    __tablename__ = "people_import"
    __table_args__ = (
        CheckConstraint("state in ('shown', 'applied')", name="state"),
        CheckConstraint("mode in ('add', 'full')", name="mode"),
        Index(None, "operator_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    state: Mapped[str]
    mode: Mapped[str]
    encoding: Mapped[str]
    separator: Mapped[str | None]
    columns: Mapped[list[str]] = mapped_column(JSONB)
    counts: Mapped[dict[str, dict[str, int]]] = mapped_column(JSONB)
    made_by: Mapped[str]
    made_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]


class PeopleImportRow(Table):
    """A row that is bad or changes something; content as import_store writes and reads it."""

    __tablename__ = "people_import_row"
    __table_args__ = (
        Index(None, "import_id", "outcome", "id"),
        Index(None, "operator_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    import_id: Mapped[UUID] = mapped_column(ForeignKey("people_import.id", ondelete="cascade"))
    operator_id: Mapped[UUID]
    line: Mapped[int | None]  # None: what a full file does not have
    outcome: Mapped[str]
    user_id: Mapped[UUID | None]  # whom it tells of; an erasure removes it
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
