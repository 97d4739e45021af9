"""Mails on their way."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from identity.tables.declarative import Table


class Mail(Table):
    """An outbox: the row commits with what it tells of, and is sent afterwards."""

    __tablename__ = "mail"
    __table_args__ = (
        Index(
            "ix_mail_waiting",
            "next_try_at",
            postgresql_where=text("sent_at is null and failed_at is null"),
        ),
        Index(None, "made_at"),
        Index(None, "operator_id", "recipient"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID | None] = mapped_column(ForeignKey("operator.id"))  # None: platform's
    recipient: Mapped[str]
    language: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]  # mail_texts.LINK stands for the link
    link: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed; gone once it is sent
    made_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime]
    give_up_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
