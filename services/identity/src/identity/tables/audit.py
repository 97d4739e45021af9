"""What people changed in any service."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from identity.tables.declarative import Table


class AuditEntry(Table):
    """One change; never changed nor deleted itself."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index(None, "operator_id", "at"),
        Index(None, "operator_id", "table_name", "row_key"),
    )

    chain: Mapped[str] = mapped_column(primary_key=True, comment="the operator's id, or platform")
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    note_id: Mapped[UUID] = mapped_column(unique=True)
    operator_id: Mapped[UUID | None]
    service: Mapped[str]
    table_name: Mapped[str]
    row_key: Mapped[dict[str, Any]] = mapped_column(JSONB)
    action: Mapped[str]
    actor: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[datetime]
    values_hash: Mapped[str]
    entry_hash: Mapped[str]


class AuditPersonal(Table):
    """What it was changed from and to; may be deleted."""

    __tablename__ = "audit_personal"

    note_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID | None]
    salt: Mapped[str]
    body: Mapped[str]
