"""What events tell of stations; each row is replaced by whatever is newer."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Index,
    Integer,
    Sequence,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from registry.tables.declarative import Table


class GatewayReplica(Table):
    """The platform's, not an operator's: gateways serve everyone."""

    __tablename__ = "gateway_replica"

    replica: Mapped[UUID] = mapped_column(primary_key=True)
    last_beat_at: Mapped[datetime]
    # Whether its stations were last told to be offline, for it did not beat (live.silence).
    silent: Mapped[bool]


class StationLive(Table):
    """A station's connection and what it said at boot; either may be known before the other."""

    __tablename__ = "station_live"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "station_id"], ["station.operator_id", "station.id"]),
    )

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)

    generation: Mapped[int | None] = mapped_column(BigInteger)
    replica: Mapped[UUID | None]
    connected: Mapped[bool | None]
    protocol: Mapped[str | None]
    connection_since_at: Mapped[datetime | None]

    boot_generation: Mapped[int | None] = mapped_column(BigInteger)
    booted_at: Mapped[datetime | None]
    vendor: Mapped[str | None]
    model: Mapped[str | None]
    serial_number: Mapped[str | None]
    firmware_version: Mapped[str | None]


class ConnectorLive(Table):
    """The newest report of a connector, configured or not; EVSE 0 is the station itself."""

    __tablename__ = "connector_live"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "station_id"], ["station.operator_id", "station.id"]),
    )

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)
    evse_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    connector_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str]
    # The one before, so that a batch can tell that the status changed and changed back within it.
    previous_status: Mapped[str | None]
    since_at: Mapped[datetime]
    error_code: Mapped[str | None]
    vendor_error_code: Mapped[str | None]
    info: Mapped[str | None]
    reported_at: Mapped[datetime]
    received_at: Mapped[datetime]


class EvseSession(Table):
    """The session that started last on an EVSE, over or not: an end may be told before its start.

    One row an EVSE, so a session whose end was lost is gone when the next one starts.
    """

    __tablename__ = "evse_session"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "station_id"], ["station.operator_id", "station.id"]),
    )

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)
    evse_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    connector_id: Mapped[int] = mapped_column(Integer)
    session_id: Mapped[UUID]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    meter_start_wh: Mapped[int | None] = mapped_column(BigInteger)


class EvseMeter(Table):
    """The newest reading of an EVSE in a session; it may be known before the session's start."""

    __tablename__ = "evse_meter"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "station_id"], ["station.operator_id", "station.id"]),
    )

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)
    evse_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    session_id: Mapped[UUID]
    sampled_at: Mapped[datetime]
    power_w: Mapped[int | None] = mapped_column(BigInteger)
    register_wh: Mapped[int | None] = mapped_column(BigInteger)
    # An earlier reading of the register, by which the power is known of chargers that do not say.
    base_wh: Mapped[int | None] = mapped_column(BigInteger)
    base_at: Mapped[datetime | None]


CHANGE = Sequence("live_change_seq", metadata=Table.metadata)


class LiveChange(Table):
    """What has news, by number: an EVSE, or as EVSE 0 the station itself.

    One row each, however often it changes: who comes back after any time reads what is new to them.
    """

    __tablename__ = "live_change"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "station_id"], ["station.operator_id", "station.id"]),
        Index("ix_live_change_change", "change"),
    )

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)
    evse_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    change: Mapped[int] = mapped_column(
        BigInteger, CHANGE, server_default=text("nextval('live_change_seq')")
    )
