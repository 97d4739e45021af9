"""People's wishes about their data, and what came of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from identity.tables.declarative import Table


class PrivacyRequest(Table):
    """An export or an erasure; kept, for it shows that the wish was met and when."""

    __tablename__ = "privacy_request"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "user_id"], ["users.operator_id", "users.id"]),
        CheckConstraint("kind in ('export', 'erasure')", name="kind"),
        CheckConstraint("state in ('asked', 'under_way', 'done', 'gone')", name="state"),
        Index(None, "operator_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    user_id: Mapped[UUID]
    kind: Mapped[str]
    state: Mapped[str]
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class PrivacyPart(Table):
    """What a service answered: rows of one file of an export, or what an erasure changed there."""

    __tablename__ = "privacy_part"

    request_id: Mapped[UUID] = mapped_column(
        ForeignKey("privacy_request.id", ondelete="cascade"), primary_key=True
    )
    service: Mapped[str] = mapped_column(primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    parts: Mapped[int]
    operator_id: Mapped[UUID]
    file: Mapped[str]
    rows: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)


class RetentionReport(Table):
    """What a service removed because the operator keeps it no longer."""

    __tablename__ = "retention_report"
    __table_args__ = (Index(None, "operator_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    service: Mapped[str]
    at: Mapped[datetime]
    changed: Mapped[dict[str, Any]] = mapped_column(JSONB)
