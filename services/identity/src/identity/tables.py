"""Everything identity stores."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from common.database import new_metadata
from common.ids import uuid7


class Table(DeclarativeBase):
    metadata = new_metadata()
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012 - SQLAlchemy's own


class Versioned(Table):
    """A row people change; its version grows by one each time and is its ETag."""

    __abstract__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    version: Mapped[int] = mapped_column(default=1)


class Operator(Versioned):
    __tablename__ = "operator"

    name: Mapped[str]
    time_zone: Mapped[str]
    currency: Mapped[str]


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


class User(Versioned):
    """A person who charges. In the plural: user alone is a word of SQL."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("operator_id", "id"),
        UniqueConstraint("operator_id", "external_id"),
    )

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    name: Mapped[str]
    email: Mapped[str | None]
    external_id: Mapped[str | None]
    active: Mapped[bool]


class Card(Versioned):
    __tablename__ = "card"
    __table_args__ = (
        UniqueConstraint("operator_id", "uid"),
        # Both columns, so that a card can never belong to another operator's user.
        ForeignKeyConstraint(["operator_id", "user_id"], ["users.operator_id", "users.id"]),
        CheckConstraint("blocked_reason is null or not active", name="reason_only_if_blocked"),
        CheckConstraint("valid_from < valid_until", name="valid_from_before_until"),
        CheckConstraint("group_id is not null or not master_pass", name="master_pass_of_group"),
        Index(None, "operator_id", "user_id"),
        Index(None, "operator_id", "group_id"),
        Index(None, "operator_id", "id"),
    )

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    uid: Mapped[str]  # decision.normal_uid
    kind: Mapped[str]
    user_id: Mapped[UUID | None]
    label: Mapped[str]
    active: Mapped[bool]
    blocked_reason: Mapped[str | None]
    valid_from: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]
    group_id: Mapped[str | None]  # decision.normal_uid
    master_pass: Mapped[bool] = mapped_column(default=False, server_default=text("false"))


class Tariff(Table):
    """Told by billing. Only whether an operator has a price is of interest here."""

    __tablename__ = "tariff"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    tariff_id: Mapped[UUID] = mapped_column(primary_key=True)
    valid_from: Mapped[datetime]
    told_at: Mapped[datetime]  # occurred_at of the event that this row comes from


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
