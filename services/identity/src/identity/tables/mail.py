"""Mails on their way."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from common.mail import MailColumns, waiting_index
from identity.tables.declarative import Table


class Mail(MailColumns, Table):
    __table_args__ = (
        waiting_index(),
        Index(None, "made_at"),
        Index(None, "operator_id", "recipient"),
    )

    operator_id: Mapped[UUID | None] = mapped_column(ForeignKey("operator.id"))  # None: platform's
