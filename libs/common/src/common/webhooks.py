"""Webhooks: addresses that customers gave to be told at, and what is queued for them.

The tables webhook and webhook_delivery stand in the service's schema; what is to be told is queued
in the transaction that it tells of, and common.webhook_delivery brings it.
"""

import secrets
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import Request
from pydantic import Field
from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from common import outbound, sealed
from common.problems import Problem
from common.single import VersionedColumns

PREFIX: Final = "olw_"

Url = Annotated[
    str, Field(min_length=1, max_length=2000, examples=["https://partner.example/openlade"])
]


class WebhookUrlRefused(Problem):
    status = 422
    title = "This address will not be called"


class WebhookColumns(VersionedColumns):
    """An address that is told, and how it has been doing."""

    __tablename__ = "webhook"

    operator_id: Mapped[UUID]
    url: Mapped[str]
    secret: Mapped[bytes] = mapped_column(LargeBinary)  # sealed
    active: Mapped[bool]
    failures: Mapped[int] = mapped_column(default=0, server_default="0")  # in a row
    paused_until: Mapped[datetime | None]


class WebhookDeliveryColumns:
    """An outbox: the row commits with what it tells of, and is sent afterwards."""

    __tablename__ = "webhook_delivery"

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


def delivery_indexes() -> tuple[Index, ...]:
    waiting = text("delivered_at is null and given_up_at is null")
    return (
        Index("ix_webhook_delivery_waiting", "webhook_id", "id", postgresql_where=waiting),
        Index(None, "webhook_id", "id"),
        Index(None, "made_at"),
    )


def check_url(request: Request, url: str) -> None:
    """Raises WebhookUrlRefused."""
    try:
        outbound.check_url(url, request.app.state.parts.settings.allow_private_endpoints)
    except ValueError as error:
        raise WebhookUrlRefused(str(error)) from error


def new_secret(request: Request) -> tuple[str, bytes]:
    """For the one who is told, and sealed. Raises NotConfigured."""
    secret = PREFIX + secrets.token_urlsafe(32)
    return secret, sealed.sealer(request).seal(secret.encode())
