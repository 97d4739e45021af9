"""What waits for somebody to open a link in a mail: invitations, registrations, new passwords."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from identity.tables.declarative import Table, Versioned


class LinkColumns:
    """The token of a link is good once and until it expires."""

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)  # SHA-256
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Invitation(LinkColumns, Versioned):
    """Somebody is asked to work for the operator; the link makes their login."""

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint(
            "(role = 'platform-admin') = (operator_id is null)", name="operator_by_role"
        ),
        CheckConstraint(
            "location_ids is null or role in ('operator-staff', 'billing-clerk', 'read-only')",
            name="locations_by_role",
        ),
        Index(
            "uq_invitation_operator_id_email",
            # Two of the platform's staff are equal too; NULLS NOT DISTINCT needs PostgreSQL 15.
            text("coalesce(operator_id, '00000000-0000-0000-0000-000000000000'::uuid)"),
            "email",
            unique=True,
            postgresql_where=text("used_at is null and revoked_at is null"),
        ),
        Index(None, "operator_id", "id"),
    )

    operator_id: Mapped[UUID | None] = mapped_column(ForeignKey("operator.id"))
    email: Mapped[str]  # lower case
    role: Mapped[str]
    location_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    language: Mapped[str]
    invited_by: Mapped[UUID]  # the login whose rights bound the new one's
    sent_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    login_id: Mapped[UUID | None]  # what came of it


class PasswordReset(LinkColumns, Table):
    """Somebody, probably the owner of a login, forgot its password."""

    __tablename__ = "password_reset"
    __table_args__ = (Index(None, "login_id"), Index(None, "expires_at"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    login_id: Mapped[UUID] = mapped_column(ForeignKey("login.id", ondelete="cascade"))
    operator_id: Mapped[UUID | None]


class Registration(LinkColumns, Table):
    """Somebody wants to become a driver; kept once confirmed, for it shows that they wanted it."""

    __tablename__ = "registration"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "user_id"], ["users.operator_id", "users.id"]),
        CheckConstraint(
            "(used_at is null) = (user_id is null) and (used_at is null) = "
            "(password_hash is not null)",
            name="user_once_used",
        ),
        Index(None, "operator_id", "email"),
        Index(None, "operator_id", "user_id"),
        Index(None, "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    email: Mapped[str]  # lower case
    name: Mapped[str]
    language: Mapped[str]
    password_hash: Mapped[str | None]  # the login's, once there is one
    ip: Mapped[str | None]
    user_id: Mapped[UUID | None]


class EmailChange(LinkColumns, Table):
    """The address a driver wants to sign in with from now on; the newest wish counts."""

    __tablename__ = "email_change"
    __table_args__ = (Index(None, "expires_at"),)

    login_id: Mapped[UUID] = mapped_column(
        ForeignKey("login.id", ondelete="cascade"), primary_key=True
    )
    operator_id: Mapped[UUID]
    email: Mapped[str]  # lower case
