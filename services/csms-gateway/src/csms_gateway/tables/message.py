"""The OCPP message log, and what chargers tell of themselves."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, Sequence, func, text
from sqlalchemy.orm import Mapped, mapped_column

from csms_gateway.tables.declarative import Table


class Message(Table):
    """The OCPP message log: one partition a day, dropped whole when it is old."""

    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_station", "station_id", "received_at"),
        {"postgresql_partition_by": "range (received_at)"},
    )

    # Not uuid7: millions a day, made by the database in the order of their writing.
    id: Mapped[int] = mapped_column(
        BigInteger,
        Sequence("message_id_seq", metadata=Table.metadata),
        primary_key=True,
        server_default=text("nextval('message_id_seq')"),
    )
    received_at: Mapped[datetime] = mapped_column(primary_key=True, server_default=func.now())
    operator_id: Mapped[UUID]
    station_id: Mapped[str]
    direction: Mapped[str] = mapped_column(comment="in: from the charger, out: to it")
    kind: Mapped[str] = mapped_column(comment="call, result, error, send, bad or full")
    action: Mapped[str | None]
    message_id: Mapped[str | None]
    frame: Mapped[str]


class Notification(Table):
    """What a charger told of itself that is no session, status or reading: reports, events,
    progress of firmware and logs; whole, as it came.
    """

    __tablename__ = "notification"
    __table_args__ = (
        Index("ix_notification_station", "station_id", "id"),
        Index(
            "ix_notification_request",
            "station_id",
            "request_id",
            postgresql_where=text("request_id is not null"),
        ),
        Index("ix_notification_received_at", "received_at"),
        # Personal data, deleted sooner than the rest.
        Index(
            "ix_notification_customer",
            "received_at",
            postgresql_where=text("action = 'NotifyCustomerInformation'"),
        ),
    )

    id: Mapped[int] = mapped_column(
        BigInteger,
        Sequence("notification_id_seq", metadata=Table.metadata),
        primary_key=True,
        server_default=text("nextval('notification_id_seq')"),
    )
    operator_id: Mapped[UUID]
    station_id: Mapped[str]
    action: Mapped[str]
    request_id: Mapped[int | None] = mapped_column(Integer, comment="of the command it answers")
    payload: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]
