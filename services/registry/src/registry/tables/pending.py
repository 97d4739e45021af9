"""Stations that called in and that nobody has made."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from registry.tables.declarative import Table


class PendingStation(Table):
    """A station that connected and that nobody has made; operator null: the platform's."""

    __tablename__ = "pending_station"

    id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID | None]
    protocol: Mapped[str | None]
    vendor: Mapped[str | None]
    model: Mapped[str | None]
    serial_number: Mapped[str | None]
    firmware_version: Mapped[str | None]
    address: Mapped[str]
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    refused_until: Mapped[datetime | None]
