"""Who may sign in, and the keys that say so."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from identity.tables.declarative import Table, Versioned


class Login(Versioned):
    """One of the staff."""

    __tablename__ = "login"
    __table_args__ = (
        CheckConstraint(
            "(role = 'platform-admin') = (operator_id is null)", name="operator_by_role"
        ),
        Index(None, "operator_id", "id"),
    )

    operator_id: Mapped[UUID | None] = mapped_column(ForeignKey("operator.id"))
    # Lower case; unique over all operators, for it alone says who signs in.
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    role: Mapped[str]
    active: Mapped[bool]


class SignInFailure(Table):
    """Attempts to sign in that did not succeed, by e-mail address, whether it exists or not."""

    __tablename__ = "sign_in_failure"

    # SHA-256 of the address: people type passwords into the wrong field.
    email_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int]
    since_at: Mapped[datetime]
    last_at: Mapped[datetime]


class SigningKey(Table):
    __tablename__ = "signing_key"

    kid: Mapped[str] = mapped_column(primary_key=True)
    private_jwk: Mapped[dict[str, Any]] = mapped_column(JSONB)
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
