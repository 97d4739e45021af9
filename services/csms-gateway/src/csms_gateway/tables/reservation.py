"""Reservations: asked of stations, and what became of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from csms_gateway.tables.declarative import Table


class Reservation(Table):
    """One reservation. A station replaces its own of the same number (OCPP 2.0.1, H01.FR.02), so a
    number is one row.
    """

    __tablename__ = "reservation"
    __table_args__ = (
        UniqueConstraint("station_id", "reservation_id"),
        CheckConstraint(
            "state in ('requested', 'active', 'rejected', 'used', 'cancelled', 'expired', "
            "'removed')",
            name="state",
        ),
        Index(
            "ix_reservation_open",
            "expires_at",
            postgresql_where=text("state in ('requested', 'active')"),
        ),
        Index("ix_reservation_operator", "operator_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID]
    station_id: Mapped[str]
    reservation_id: Mapped[int] = mapped_column(Integer, comment="the number both sides know it by")
    state: Mapped[str]
    answer: Mapped[str | None] = mapped_column(comment="the station's last word on it")
    evse_id: Mapped[int | None] = mapped_column(Integer, comment="null: any")
    connector_type: Mapped[str | None]
    id_token: Mapped[str]
    id_token_key: Mapped[str] = mapped_column(comment="upper case: tokens compare without case")
    id_token_type: Mapped[str | None]
    group_id_token: Mapped[str | None]
    expires_at: Mapped[datetime]
    requested_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    session_id: Mapped[UUID | None] = mapped_column(comment="the session that used it")
