"""Addresses that are told of sessions, and what they are told."""

from uuid import UUID

from sqlalchemy import ARRAY, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Table
from common.webhooks import WebhookColumns, WebhookDeliveryColumns, delivery_indexes


class Webhook(WebhookColumns, Table):
    """An address that is told of sessions and records."""

    __table_args__ = (
        Index(
            "uq_webhook_address",
            "operator_id",
            text("coalesce(partner_id, '00000000-0000-0000-0000-000000000000'::uuid)"),
            "url",
            unique=True,
        ),
    )

    partner_id: Mapped[UUID | None]  # None: of all sessions
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))


class WebhookDelivery(WebhookDeliveryColumns, Table):
    __table_args__ = delivery_indexes()
