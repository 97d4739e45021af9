"""R5: a command is a record from the moment it is asked for."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Index, Integer, Sequence, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from csms_gateway.tables.declarative import Table

# Numbers that OCPP 2.x wants in requests, to find what came of them: requestId, remoteStartId and
# the like. One sequence for all: unique is all they need to be.
REQUEST_ID = Sequence("request_id_seq", maxvalue=2**31 - 1, cycle=True, metadata=Table.metadata)
CHANGE = Sequence("command_change_seq", metadata=Table.metadata)


class Command(Table):
    __tablename__ = "command"
    __table_args__ = (
        UniqueConstraint("operator_id", "idempotency_key"),
        Index(
            "ix_command_open", "station_id", postgresql_where=text("state in ('queued', 'sent')")
        ),
        Index("ix_command_station", "station_id", "id"),
        Index("ix_command_change", "change"),
        Index("ix_command_sent", "replica", postgresql_where=text("state = 'sent'")),
        Index(
            "ix_command_start",
            "station_id",
            postgresql_where=text("start_id_token is not null or remote_start_id is not null"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID]
    station_id: Mapped[str]
    idempotency_key: Mapped[str]
    type: Mapped[str]
    # json, not jsonb: a payload is sent with its members in the order given.
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    secrets: Mapped[str | None] = mapped_column(
        comment="passwords taken out of the parameters, encrypted; gone once it is finished"
    )
    state: Mapped[str] = mapped_column(server_default="queued")
    change: Mapped[int] = mapped_column(
        BigInteger,
        CHANGE,
        server_default=text("nextval('command_change_seq')"),
        comment="grows with each change",
    )
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    replica: Mapped[UUID | None] = mapped_column(comment="that sent it, and must see it through")
    finished_at: Mapped[datetime | None]
    calls: Mapped[list[dict[str, Any]] | None] = mapped_column(
        JSON, comment="action, payload and answer of each OCPP call it became"
    )
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    session_id: Mapped[UUID | None]
    start_id_token: Mapped[str | None] = mapped_column(comment="upper case: the start it asks for")
    start_evse_id: Mapped[int | None] = mapped_column(Integer, comment="and where; null: anywhere")
    remote_start_id: Mapped[int | None] = mapped_column(Integer, comment="2.x: the same by number")
