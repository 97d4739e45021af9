"""Stations as the gateway knows them, and the newest socket of each."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from csms_gateway.tables.declarative import Table


class Station(Table):
    """Our copy of registry's station, its credentials, and how it may connect."""

    __tablename__ = "station"
    __table_args__ = (
        CheckConstraint("security_profile between 0 and 3", name="security_profile"),
        CheckConstraint("registration in ('accepted', 'pending', 'rejected')", name="registration"),
        CheckConstraint("boot_answer in ('accepted', 'pending', 'rejected')", name="boot_answer"),
    )

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID] = mapped_column(index=True)
    version: Mapped[int] = mapped_column(default=0, server_default="0")
    active: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    location_id: Mapped[UUID | None]
    evses: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    credential_version: Mapped[int] = mapped_column(default=0, server_default="0")
    password_hash: Mapped[str | None]
    next_password_hash: Mapped[str | None] = mapped_column(
        comment="sent to the station; becomes password_hash when it is first used"
    )
    hand_over: Mapped[bool] = mapped_column(
        default=False, server_default=text("false"),
        comment="it was adopted and waits: give it a password over the connection that it holds",
    )  # fmt: skip
    security_profile: Mapped[int] = mapped_column(
        SmallInteger, default=1, server_default="1",
        comment="the least it must connect with; grows with what it has used",
    )  # fmt: skip
    registration: Mapped[str] = mapped_column(
        default="accepted", server_default="accepted", comment="what BootNotification is answered"
    )
    shows_cost: Mapped[bool | None] = mapped_column(
        comment="whether it is told what a running session costs; null: not known, so it is not"
    )
    boot_answer: Mapped[str] = mapped_column(
        default="accepted", server_default="accepted",
        comment="what the newest BootNotification was answered: by it the station lives",
    )  # fmt: skip
    inventory_of: Mapped[str | None] = mapped_column(
        comment="the firmware whose device model was last asked for by itself"
    )
    security_version: Mapped[int] = mapped_column(
        default=0, server_default="0", comment="grows when staff change how it may connect"
    )
    certificate_name: Mapped[str | None] = mapped_column(
        comment="the common name of its certificates if it is not its id: a serial number"
    )
    last_certificate: Mapped[dict[str, Any] | None] = mapped_column(
        comment="the one it last connected with"
    )


class Connection(Table):
    """The newest socket of each station. A higher generation is a newer socket."""

    __tablename__ = "connection"
    __table_args__ = (
        Index("ix_connection_open", "replica", postgresql_where=text("closed_at is null")),
    )

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID] = mapped_column(index=True)
    generation: Mapped[int] = mapped_column(BigInteger)
    replica: Mapped[UUID]
    protocol: Mapped[str]
    connected_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    security_profile: Mapped[int] = mapped_column(SmallInteger, server_default="1")


class GatewayReplica(Table):
    """Replicas of the gateway that live, by their last beat. They serve every operator."""

    __tablename__ = "gateway_replica"

    replica: Mapped[UUID] = mapped_column(primary_key=True)
    last_beat_at: Mapped[datetime]
