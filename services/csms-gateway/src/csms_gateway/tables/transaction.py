"""What chargers reported of sessions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, Sequence, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from common.privacy import TombstoneColumns
from csms_gateway.tables.declarative import TRANSACTION_ID_MAX, Table


class Transaction(Table):
    """What a charger reported of one session."""

    __tablename__ = "transaction"
    __table_args__ = (
        # R2, 1.6: a retried start has a new message id but these are the same.
        Index(
            "uq_transaction_start",
            "station_id",
            "evse_id",
            "connector_id",
            "id_token_key",
            "started_raw",
            "meter_start_wh",
            unique=True,
            postgresql_where=text("ocpp_id is null"),
        ),
        # R2, 2.x: the station gives the id.
        Index(
            "uq_transaction_ocpp_id",
            "station_id",
            "ocpp_id",
            unique=True,
            postgresql_where=text("ocpp_id is not null"),
        ),
        Index(
            "ix_transaction_untold",
            "tell_by",
            postgresql_where=text("tell_by is not null"),
        ),
        Index(
            "ix_transaction_open",
            "station_id",
            "evse_id",
            postgresql_where=text("ended_at is null"),
        ),
        # What is kept of a person.
        Index(None, "card_id", postgresql_where=text("card_id is not null")),
    )

    id: Mapped[int] = mapped_column(
        Integer,
        Sequence("transaction_id_seq", maxvalue=TRANSACTION_ID_MAX, metadata=Table.metadata),
        primary_key=True,
        server_default=text("nextval('transaction_id_seq')"),
    )
    session_id: Mapped[UUID] = mapped_column(unique=True)
    ocpp_id: Mapped[str | None] = mapped_column(comment="2.x: the station's own id; 1.6: null")
    operator_id: Mapped[UUID] = mapped_column(index=True)
    station_id: Mapped[str]
    evse_id: Mapped[int]
    connector_id: Mapped[int]
    id_token: Mapped[str]
    id_token_key: Mapped[str] = mapped_column(comment="upper case: idTags compare without case")
    card_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    holder: Mapped[dict[str, Any] | None] = mapped_column(comment="common.authorize.Holder")
    token_status: Mapped[str]
    started_at: Mapped[datetime]
    started_raw: Mapped[str]
    start_received_at: Mapped[datetime]
    meter_start_wh: Mapped[int | None] = mapped_column(BigInteger)
    start_payload: Mapped[dict[str, Any]]
    incidents: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    ended_at: Mapped[datetime | None]
    ended_raw: Mapped[str | None]
    stop_received_at: Mapped[datetime | None]
    meter_stop_wh: Mapped[int | None] = mapped_column(BigInteger)
    energy_wh: Mapped[int | None] = mapped_column(BigInteger)
    stop_reason: Mapped[str | None]
    stop_payload: Mapped[dict[str, Any] | None]
    # Of 2.x, whose transactions are the sum of their events (transaction_fold.Known).
    id_token_type: Mapped[str | None]
    start_seen: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    start_seq_no: Mapped[int] = mapped_column(default=0, server_default="0")
    end_seq_no: Mapped[int | None]
    charging_state: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(
        server_default=text("'{}'"),
        comment="the newest tariffId, transactionLimit, operationMode, costDetails, …",
    )
    newest_seq_no: Mapped[int] = mapped_column(default=-1, server_default="-1")
    remote_start_id: Mapped[int | None]
    reservation_id: Mapped[int | None]
    start_told: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    end_told: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    tell_by: Mapped[datetime | None] = mapped_column(
        comment="ended, but events are missing: told as it is at this time"
    )
    revision: Mapped[int] = mapped_column(default=0, server_default="0")
    price: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="by what billing charges it: events.SessionPriceSet"
    )

    @property
    def state(self) -> str:
        return "open" if self.ended_at is None else "ended"


class TransactionEvent(Table):
    """Each TransactionEvent of OCPP 2.x as it came (R2: by station, transaction and seqNo)."""

    __tablename__ = "transaction_event"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    ocpp_id: Mapped[str] = mapped_column(primary_key=True)
    seq_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    operator_id: Mapped[UUID]
    payload: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]


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
    __table_args__ = (
        UniqueConstraint("station_id", "digest"),
        # What an older release has kept and not told.
        Index(
            "ix_signed_message_untold",
            "id",
            postgresql_where=text("not told and session_id is not null"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID] = mapped_column(index=True)
    station_id: Mapped[str]
    evse_id: Mapped[int]
    session_id: Mapped[UUID | None] = mapped_column(index=True)
    digest: Mapped[str]
    payload: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]
    told: Mapped[bool] = mapped_column(server_default=text("false"))


class Tombstone(TombstoneColumns, Table):
    """Whose sessions are under a pseudonym."""
