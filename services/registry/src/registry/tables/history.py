"""What was: the facts that uptime is reckoned by, whatever the order they came in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from registry.tables.declarative import Table


class StationConnection(Table):
    """A socket of a station. Its end may be told before its beginning, or never."""

    __tablename__ = "station_connection"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "station_id"], ["station.operator_id", "station.id"]),
        Index(
            "ix_station_connection_open",
            "replica",
            postgresql_where=text("closed_at is null"),
        ),
        Index("ix_station_connection_closed", "closed_at"),
    )

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    replica: Mapped[UUID]
    opened_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class ConnectorStanding(Table):
    """How a connector stood from a moment on: the last that it said in a slot of ten seconds.

    EVSE 0 is the station itself, connector 0 an EVSE itself. What says the same as the one before
    is swept away once nothing can come between them any more.
    """

    __tablename__ = "connector_standing"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "station_id"], ["station.operator_id", "station.id"]),
        Index("ix_connector_standing_slot", "slot_at"),
    )

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)
    evse_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    connector_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    slot_at: Mapped[datetime] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    standing: Mapped[str]
    error_code: Mapped[str | None]
    vendor_error_code: Mapped[str | None]
