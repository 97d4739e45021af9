"""Addresses that are told of sessions, and what they are told."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Table
from common.single import VersionedColumns


class Webhook(VersionedColumns, Table):
    """An address that is told of sessions and records."""

    __tablename__ = "webhook"
    __table_args__ = (
        Index(
            "uq_webhook_address",
            "operator_id",
            text("coalesce(partner_id, '00000000-0000-0000-0000-000000000000'::uuid)"),
            "url",
            unique=True,
        ),
    )

    operator_id: Mapped[UUID]
    partner_id: Mapped[UUID | None]  # None: of all sessions
    url: Mapped[str]
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    secret: Mapped[bytes] = mapped_column(LargeBinary)  # sealed
    active: Mapped[bool]
    failures: Mapped[int] = mapped_column(default=0, server_default="0")  # in a row
    paused_until: Mapped[datetime | None]


class WebhookDelivery(Table):
    """An outbox: the row commits with what it tells of, and is sent afterwards."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index(
            "ix_webhook_delivery_waiting",
            "webhook_id",
            "id",
            postgresql_where=text("delivered_at is null and given_up_at is null"),
        ),
        Index(None, "webhook_id", "id"),
        Index(None, "made_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)  # of what is told, to whomever
    webhook_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook.id", ondelete="cascade"), primary_key=True
    )
    operator_id: Mapped[UUID]
    kind: Mapped[str]
    body: Mapped[str]  # the very bytes that are signed
    made_at: Mapped[datetime]
    wanted_at: Mapped[datetime]  # tried for three days from then on
    tries: Mapped[int]
    next_try_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
