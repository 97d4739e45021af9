"""What people enter: locations, stations and what these are made of. Each has versions."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Computed,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from common.ids import uuid7
from common.single import VersionedColumns
from registry.tables.declarative import Table

Document = Annotated[dict[str, Any] | None, mapped_column(JSONB(none_as_null=True), nullable=True)]


class Location(VersionedColumns, Table):
    __tablename__ = "location"
    __table_args__ = (UniqueConstraint("operator_id", "id"),)  # for stations to refer to

    operator_id: Mapped[UUID]
    name: Mapped[str]
    street: Mapped[str]
    postal_code: Mapped[str]
    city: Mapped[str]
    country: Mapped[str]
    # Seven places are a centimetre, and what OCPI carries.
    latitude: Mapped[Decimal | None] = mapped_column(Numeric(10, 7))
    longitude: Mapped[Decimal | None] = mapped_column(Numeric(10, 7))
    time_zone: Mapped[str]
    publish: Mapped[bool] = mapped_column(server_default=text("true"))
    opening_times: Mapped[Document]  # registry.places.opening_hours.Hours
    access: Mapped[Document]  # registry.places.models.Access
    facilities: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    contacts: Mapped[Document]  # registry.places.models.Contacts


class LocationPhoto(Table):
    """In a table of its own, so that no list of locations carries it along."""

    __tablename__ = "location_photo"
    __table_args__ = (
        ForeignKeyConstraint(
            ["operator_id", "location_id"], ["location.operator_id", "location.id"]
        ),
        Index(None, "operator_id", "location_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID]
    location_id: Mapped[UUID]
    category: Mapped[str]
    caption: Mapped[str | None]
    image: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    size_bytes: Mapped[int]
    digest: Mapped[str]  # of the image: SHA-256, the first 32 hex digits
    added_at: Mapped[datetime]


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
    # Taken down for good: not active, and its EVSE codes may go to another station.
    decommissioned_at: Mapped[datetime | None]
    decommission_reason: Mapped[str | None]
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
        Index(
            "uq_evse_code",
            func.replace(text("code"), text("'*'"), text("''")),
            unique=True,
            postgresql_where=text("not retired"),
        ),
        Index(None, "bare_code"),
    )

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)
    evse_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    code: Mapped[str | None]
    # A column, for an index on the expression is not used beneath row-level security: replace() is
    # not leakproof, so PostgreSQL would look at every row for its wall first.
    bare_code: Mapped[str | None] = mapped_column(
        Text, Computed("replace(code, '*', '')", persisted=True)
    )
    retired: Mapped[bool] = mapped_column(server_default=text("false"))  # the station is taken down
    max_power_w: Mapped[int | None] = mapped_column(Integer)
    phases: Mapped[int | None]
    physical_reference: Mapped[str | None]
    floor_level: Mapped[str | None]
    meter: Mapped[Document]  # registry.hardware.models.Meter

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
    max_voltage: Mapped[int | None]
    max_amperage: Mapped[int | None]


class StationTemplate(VersionedColumns, Table):
    """What stations of one model are made of."""

    __tablename__ = "station_template"
    __table_args__ = (
        UniqueConstraint("operator_id", "name"),
        # A station is known by what it tells at boot; there the case of letters says nothing.
        Index(
            "uq_station_template_model",
            "operator_id",
            func.lower(text("vendor")),
            func.lower(text("model")),
            unique=True,
        ),
    )

    operator_id: Mapped[UUID]
    name: Mapped[str]
    vendor: Mapped[str]
    model: Mapped[str]
    code_pattern: Mapped[str | None]
    evses: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # registry.hardware.models.EvseKinds
