"""What people decided about sessions and records. Append-only: rows are added, never changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Key, SetNow, Table


class Decision(Table):
    """One ruling about a session: of its review, of a dispute, or a correction by itself.

    record_id: what stood before; cancellation_id and correction_id: what was made.
    """

    __tablename__ = "decision"
    __table_args__ = (
        UniqueConstraint("operator_id", "idempotency_key"),
        Index(None, "session_id", "id"),
        Index(None, "operator_id", "verdict", "session_id"),
        # A dispute is decided once.
        Index(None, "dispute_id", unique=True, postgresql_where=text("dispute_id is not null")),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    station_id: Mapped[str]
    session_id: Mapped[UUID]
    about: Mapped[str]  # review, dispute, correction
    verdict: Mapped[str]  # valid, corrected, void
    reason: Mapped[str]
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    incidents: Mapped[list[dict[str, str]]] = mapped_column(JSONB)  # that were open until then
    dispute_id: Mapped[UUID | None]
    record_id: Mapped[UUID | None]
    cancellation_id: Mapped[UUID | None]
    correction_id: Mapped[UUID | None]
    decided_by: Mapped[str]
    decided_as: Mapped[str]  # the role
    decided_at: Mapped[datetime]
    idempotency_key: Mapped[str]
    asked: Mapped[str]  # digest of the request


class Dispute(Table):
    """Somebody says that a record is wrong. It is open until a decision names it."""

    __tablename__ = "dispute"
    __table_args__ = (
        UniqueConstraint("operator_id", "idempotency_key"),
        Index(None, "operator_id", "id"),
        Index(None, "record_id"),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    station_id: Mapped[str]
    session_id: Mapped[UUID]
    record_id: Mapped[UUID]
    raised_by: Mapped[str]  # customer, staff
    reason: Mapped[str]
    opened_by: Mapped[str]
    opened_as: Mapped[str]  # the role
    opened_at: Mapped[SetNow]
    idempotency_key: Mapped[str]
    asked: Mapped[str]  # digest of the request
