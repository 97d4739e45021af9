"""Everything csms-gateway stores."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    Index,
    Integer,
    Sequence,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from common.database import new_metadata
from common.ids import uuid7

# OCPP 1.6 transaction ids are integers; positive 31-bit ones are safe with every charger.
TRANSACTION_ID_MAX = 2**31 - 1


class Table(DeclarativeBase):
    metadata = new_metadata()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's way
        datetime: DateTime(timezone=True),
        str: Text,
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
    }


class Station(Table):
    """Our copy of registry's station, and its password's hash."""

    __tablename__ = "station"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID] = mapped_column(index=True)
    version: Mapped[int] = mapped_column(default=0, server_default="0")
    active: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    evses: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    credential_version: Mapped[int] = mapped_column(default=0, server_default="0")
    password_hash: Mapped[str | None]


class Connection(Table):
    """The newest socket of each station. A higher generation is a newer socket."""

    __tablename__ = "connection"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID] = mapped_column(index=True)
    generation: Mapped[int] = mapped_column(BigInteger)
    replica: Mapped[UUID]
    protocol: Mapped[str]
    connected_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class Transaction(Table):
    """What a charger reported of one session."""

    __tablename__ = "transaction"
    __table_args__ = (
        # R2: a retried start has a new message id but these are the same.
        UniqueConstraint(
            "station_id",
            "evse_id",
            "connector_id",
            "id_token_key",
            "started_raw",
            "meter_start_wh",
            name="uq_transaction_start",
        ),
        Index(
            "ix_transaction_open",
            "station_id",
            "evse_id",
            postgresql_where=text("ended_at is null"),
        ),
    )

    id: Mapped[int] = mapped_column(
        Integer,
        Sequence("transaction_id_seq", maxvalue=TRANSACTION_ID_MAX, metadata=Table.metadata),
        primary_key=True,
        server_default=text("nextval('transaction_id_seq')"),
    )
    session_id: Mapped[UUID] = mapped_column(unique=True)
    operator_id: Mapped[UUID] = mapped_column(index=True)
    station_id: Mapped[str]
    evse_id: Mapped[int]
    connector_id: Mapped[int]
    id_token: Mapped[str]
    id_token_key: Mapped[str] = mapped_column(comment="upper case: idTags compare without case")
    card_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    token_status: Mapped[str]
    started_at: Mapped[datetime]
    started_raw: Mapped[str]
    start_received_at: Mapped[datetime]
    meter_start_wh: Mapped[int] = mapped_column(BigInteger)
    start_payload: Mapped[dict[str, Any]]
    incidents: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    ended_at: Mapped[datetime | None]
    ended_raw: Mapped[str | None]
    stop_received_at: Mapped[datetime | None]
    meter_stop_wh: Mapped[int | None] = mapped_column(BigInteger)
    energy_wh: Mapped[int | None] = mapped_column(BigInteger)
    stop_reason: Mapped[str | None]
    stop_payload: Mapped[dict[str, Any] | None]


class UnmatchedMessage(Table):
    """R3: what a charger said of a transaction nobody knows; kept whole, never thrown away."""

    __tablename__ = "unmatched_message"
    __table_args__ = (UniqueConstraint("station_id", "action", "digest"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID] = mapped_column(index=True)
    station_id: Mapped[str]
    action: Mapped[str]
    digest: Mapped[str] = mapped_column(comment="of the payload: a retry is stored once")
    payload: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]
    session_id: Mapped[UUID | None]


class SignedMessage(Table):
    """A message with signed readings (OCMF and others), whole: evidence for the driver's bill."""

    __tablename__ = "signed_message"
    __table_args__ = (UniqueConstraint("station_id", "digest"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID] = mapped_column(index=True)
    station_id: Mapped[str]
    evse_id: Mapped[int]
    session_id: Mapped[UUID | None] = mapped_column(index=True)
    digest: Mapped[str]
    payload: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]


class Command(Table):
    """R5: a command is a record from the moment it is asked for."""

    __tablename__ = "command"
    __table_args__ = (
        UniqueConstraint("operator_id", "idempotency_key"),
        Index(
            "ix_command_open", "station_id", postgresql_where=text("state in ('queued', 'sent')")
        ),
        Index("ix_command_station", "station_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID]
    station_id: Mapped[str]
    idempotency_key: Mapped[str]
    type: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default="queued")
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    session_id: Mapped[UUID | None]


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
    kind: Mapped[str] = mapped_column(comment="call, result, error or bad")
    action: Mapped[str | None]
    message_id: Mapped[str | None]
    frame: Mapped[str]
