"""Everything registry stores.

What people enter (location, station, evse, connector) and what events tell (the rest) are apart:
the first has versions, the second is replaced by whatever is newer.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from common.database import new_metadata
from common.ids import uuid7


class Table(DeclarativeBase):
    metadata = new_metadata()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own name
        str: Text,
        datetime: DateTime(timezone=True),
    }


class Location(Table):
    __tablename__ = "location"
    __table_args__ = (UniqueConstraint("operator_id", "id"),)  # for stations to refer to

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(Integer)
    name: Mapped[str]
    street: Mapped[str]
    postal_code: Mapped[str]
    city: Mapped[str]
    country: Mapped[str]
    # Seven places are a centimetre, and what OCPI carries.
    latitude: Mapped[Decimal | None] = mapped_column(Numeric(10, 7))
    longitude: Mapped[Decimal | None] = mapped_column(Numeric(10, 7))
    time_zone: Mapped[str]


class Station(Table):
    """The id is the charger's OCPP identity, so it is unique on the whole platform."""

    __tablename__ = "station"
    __table_args__ = (
        UniqueConstraint("operator_id", "id"),
        ForeignKeyConstraint(
            ["operator_id", "location_id"], ["location.operator_id", "location.id"]
        ),
        Index(None, "operator_id", "location_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(Integer)
    name: Mapped[str]
    location_id: Mapped[UUID | None]
    vendor: Mapped[str | None]
    model: Mapped[str | None]
    active: Mapped[bool]
    credential_version: Mapped[int] = mapped_column(Integer)
    password_hash: Mapped[str]

    evses: Mapped[list["Evse"]] = relationship(
        lazy="selectin", viewonly=True, order_by="Evse.evse_id"
    )


class Evse(Table):
    __tablename__ = "evse"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "station_id"], ["station.operator_id", "station.id"]),
        # DE*ABC*E1 and DEABCE1 are one id: the separators are only there to be read.
        Index("uq_evse_code", func.replace(text("code"), text("'*'"), text("''")), unique=True),
    )

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)
    evse_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    code: Mapped[str | None]
    max_power_w: Mapped[int | None] = mapped_column(Integer)

    connectors: Mapped[list["Connector"]] = relationship(
        lazy="selectin", viewonly=True, order_by="Connector.connector_id"
    )


class Connector(Table):
    __tablename__ = "connector"
    __table_args__ = (
        ForeignKeyConstraint(
            ["operator_id", "station_id", "evse_id"],
            ["evse.operator_id", "evse.station_id", "evse.evse_id"],
            ondelete="CASCADE",
        ),
    )

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)
    evse_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    connector_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    standard: Mapped[str]
    format: Mapped[str]
    power_type: Mapped[str]


class StationGroup(Table):
    __tablename__ = "station_group"
    __table_args__ = (
        UniqueConstraint("operator_id", "name"),
        UniqueConstraint("operator_id", "id"),  # for its members to refer to
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(Integer)
    # Counts the changes of who is in it: they are told apart from the group itself.
    members_version: Mapped[int] = mapped_column(Integer)
    name: Mapped[str]


class StationGroupMember(Table):
    __tablename__ = "station_group_member"
    __table_args__ = (
        ForeignKeyConstraint(
            ["operator_id", "group_id"],
            ["station_group.operator_id", "station_group.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["operator_id", "station_id"], ["station.operator_id", "station.id"]),
        Index(None, "station_id"),
    )

    operator_id: Mapped[UUID]
    group_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)


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


class GatewayReplica(Table):
    """The platform's, not an operator's: gateways serve everyone."""

    __tablename__ = "gateway_replica"

    replica: Mapped[UUID] = mapped_column(primary_key=True)
    last_beat_at: Mapped[datetime]


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
