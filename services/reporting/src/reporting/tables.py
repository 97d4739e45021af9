"""Everything reporting stores: facts, one a business record, and the names of what they refer to.

Names are the present ones; facts never change but for their review, once. All of it can
be built anew from the events.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index, Numeric, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from common.database import new_metadata


class Table(DeclarativeBase):
    metadata = new_metadata()
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        Decimal: Numeric(),
        str: Text(),
    }


class Fact(Table):
    """What reports count of a closed record. ended_on: the local date that it counts for."""

    __tablename__ = "fact"
    __table_args__ = (
        Index(None, "operator_id", "ended_on"),
        Index(None, "operator_id", "station_id", "ended_on"),
        Index(None, "operator_id", "user_id", "ended_on"),
    )

    record_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    session_id: Mapped[UUID]
    station_id: Mapped[str]
    evse_id: Mapped[int]
    location_id: Mapped[UUID | None]
    card_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    time_zone: Mapped[str]
    ended_on: Mapped[date]
    # 1; -1 of a cancellation, whose duration, energy and amounts are negative as well.
    sessions: Mapped[int] = mapped_column(server_default=text("1"))
    duration_s: Mapped[int] = mapped_column(BigInteger)
    energy_wh: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    total_gross: Mapped[Decimal]
    total_net: Mapped[Decimal]
    vat: Mapped[Decimal]
    # pending: not counted yet; common.events.ReviewState when it was told.
    review: Mapped[str] = mapped_column(server_default=text("'none'"))


class Station(Table):
    __tablename__ = "station"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    name: Mapped[str]
    location_id: Mapped[UUID | None]


class Location(Table):
    __tablename__ = "location"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    location_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    name: Mapped[str]


class Person(Table):
    """A user; the word itself is reserved in SQL."""

    __tablename__ = "person"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    name: Mapped[str]


class Card(Table):
    __tablename__ = "card"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    card_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    uid: Mapped[str]
    label: Mapped[str]
