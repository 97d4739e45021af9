"""Who may sign in, where they are signed in, and the keys that say so."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from identity.tables.declarative import Table, Versioned


class Login(Versioned):
    """One of the staff, or a driver who registered."""

    __tablename__ = "login"
    __table_args__ = (
        CheckConstraint(
            "(role = 'platform-admin') = (operator_id is null)", name="operator_by_role"
        ),
        CheckConstraint("(role = 'driver') = (user_id is not null)", name="user_by_role"),
        CheckConstraint(
            "location_ids is null or role in ('operator-staff', 'billing-clerk', 'read-only')",
            name="locations_by_role",
        ),
        ForeignKeyConstraint(["operator_id", "user_id"], ["users.operator_id", "users.id"]),
        Index(None, "operator_id", "id"),
        # Unique over all operators, for it alone says who of the staff signs in; a driver may be
        # one of several operators.
        Index("uq_login_email", "email", unique=True, postgresql_where=text("role <> 'driver'")),
        Index(
            "uq_login_operator_id_email",
            "operator_id",
            "email",
            unique=True,
            postgresql_where=text("role = 'driver'"),
        ),
    )

    operator_id: Mapped[UUID | None] = mapped_column(ForeignKey("operator.id"))
    email: Mapped[str]  # lower case
    password_hash: Mapped[str | None]  # None: signs in otherwise
    role: Mapped[str]
    active: Mapped[bool]
    # The locations they may see and change; None: all.
    location_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    user_id: Mapped[UUID | None]  # of a driver
    # Signs in with a password although the operator's policy sends staff to its provider.
    break_glass: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    language: Mapped[str | None]  # that mails to them are in; None: the operator's first
    last_sign_in_at: Mapped[datetime | None]


class SignIn(Table):
    """A device that is signed in, until it signs out, is thrown out or stays away too long."""

    __tablename__ = "sign_in"
    __table_args__ = (Index(None, "login_id"), Index(None, "expires_at"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    login_id: Mapped[UUID] = mapped_column(ForeignKey("login.id", ondelete="cascade"))
    operator_id: Mapped[UUID | None]
    how: Mapped[str]
    made_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]  # not used until then: over
    ends_at: Mapped[datetime]  # over however much it is used
    ip: Mapped[str | None]
    user_agent: Mapped[str | None]
    revoked_at: Mapped[datetime | None]
    revoked_why: Mapped[str | None]


class RefreshToken(Table):
    """Each gives one more access token and its own successor; used twice it betrays a thief."""

    __tablename__ = "refresh_token"
    __table_args__ = (Index(None, "sign_in_id"),)

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # SHA-256
    sign_in_id: Mapped[UUID] = mapped_column(ForeignKey("sign_in.id", ondelete="cascade"))
    operator_id: Mapped[UUID | None]
    used_at: Mapped[datetime | None]


class ApiKey(Versioned):
    """What a program signs in with: a partner's, or an integration of the operator's own."""

    __tablename__ = "api_key"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "partner_id"], ["partner.operator_id", "partner.id"]),
        Index(None, "operator_id", "id"),
    )

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    partner_id: Mapped[UUID | None]
    name: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)  # SHA-256
    hint: Mapped[str]  # its first characters, to tell keys apart
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    location_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    made_by: Mapped[str]
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    last_used_ip: Mapped[str | None]
    revoked_at: Mapped[datetime | None]


class SignInFailure(Table):
    """Attempts to sign in that did not succeed, whether the address exists or not."""

    __tablename__ = "sign_in_failure"

    # SHA-256 of the address (people type passwords into the wrong field), or of it and where from.
    email_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int]
    since_at: Mapped[datetime]
    last_at: Mapped[datetime]


class SigningKey(Table):
    """Its private half once: sealed, or as it is where there is no secret_key."""

    __tablename__ = "signing_key"
    __table_args__ = (
        CheckConstraint("(private_jwk is null) <> (sealed_jwk is null)", name="one_private"),
    )

    kid: Mapped[str] = mapped_column(primary_key=True)
    public_jwk: Mapped[dict[str, Any]] = mapped_column(JSONB)
    private_jwk: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    sealed_jwk: Mapped[bytes | None] = mapped_column(LargeBinary)
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
