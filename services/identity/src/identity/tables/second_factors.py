"""What people prove beside their password, or instead of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from identity.tables.declarative import Table


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
