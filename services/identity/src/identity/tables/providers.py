"""The operators' own OpenID providers, and whom they know."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from identity.tables.declarative import Table, Versioned


class OidcProvider(Versioned):
    """By which an operator's staff signs in (OpenID Connect); one an operator."""

    __tablename__ = "oidc_provider"

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"), unique=True)
    issuer: Mapped[str]  # exactly as its tokens say it
    client_id: Mapped[str]
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    email_domains: Mapped[list[str]] = mapped_column(ARRAY(Text))  # lower case
    newcomers_role: Mapped[str | None]  # None: who has no login gets none
    active: Mapped[bool]


class OidcSubject(Table):
    """Who a login is at a provider: bound at the first sign-in, whatever e-mail it has later."""

    __tablename__ = "oidc_subject"
    __table_args__ = (UniqueConstraint("operator_id", "issuer", "subject"),)

    login_id: Mapped[UUID] = mapped_column(
        ForeignKey("login.id", ondelete="cascade"), primary_key=True
    )
    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str]
    operator_id: Mapped[UUID]
    made_at: Mapped[datetime]
    last_used_at: Mapped[datetime]


class OidcBegun(Table):
    """A browser that is at the provider now; good once and for minutes."""

    __tablename__ = "oidc_begun"
    __table_args__ = (
        Index(None, "network"),
        Index(None, "expires_at"),
        Index(None, "provider_id"),
    )

    state_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # SHA-256
    handle_hash: Mapped[bytes] = mapped_column(LargeBinary)  # of what the browser keeps
    provider_id: Mapped[UUID] = mapped_column(ForeignKey("oidc_provider.id", ondelete="cascade"))
    provider_version: Mapped[int]
    operator_id: Mapped[UUID]
    network: Mapped[str]
    expires_at: Mapped[datetime]
