"""What people prove beside their password, or instead of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from identity.tables.declarative import Table, Versioned


class Totp(Table):
    """A login's authenticator app (RFC 6238)."""

    __tablename__ = "totp"

    login_id: Mapped[UUID] = mapped_column(
        ForeignKey("login.id", ondelete="cascade"), primary_key=True
    )
    operator_id: Mapped[UUID | None]
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]  # None: asked for nothing yet
    # Of the code that was used last; it and those before it are good no more.
    last_counter: Mapped[int | None] = mapped_column(BigInteger)


class RecoveryCode(Table):
    """For when the authenticator is lost; each is good once."""

    __tablename__ = "recovery_code"

    login_id: Mapped[UUID] = mapped_column(
        ForeignKey("totp.login_id", ondelete="cascade"), primary_key=True
    )
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # SHA-256
    operator_id: Mapped[UUID | None]
    used_at: Mapped[datetime | None]


class Passkey(Versioned):
    """A key pair of a login (Web Authentication); here is the public half."""

    __tablename__ = "passkey"
    __table_args__ = (Index(None, "login_id"),)

    login_id: Mapped[UUID] = mapped_column(ForeignKey("login.id", ondelete="cascade"))
    operator_id: Mapped[UUID | None]
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)  # COSE
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str]
    transports: Mapped[list[str]] = mapped_column(ARRAY(Text))
    synced: Mapped[bool]  # may be on several devices, which do not share a count
    backed_up: Mapped[bool]
    made_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class PasskeyChallenge(Table):
    """What an authenticator is to sign; good once and for minutes."""

    __tablename__ = "passkey_challenge"
    __table_args__ = (Index(None, "network"), Index(None, "expires_at"))

    challenge: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    # Whose new passkey it is for; None: somebody signs in, nobody knows who yet.
    login_id: Mapped[UUID | None] = mapped_column(ForeignKey("login.id", ondelete="cascade"))
    operator_id: Mapped[UUID | None]
    network: Mapped[str]
    expires_at: Mapped[datetime]
