"""What people enter: locations, stations and what these are made of. Each has versions."""

from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from common.ids import uuid7
from registry.tables.declarative import Table


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
