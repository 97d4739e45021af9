"""What only OCPP 2.1 has: streams of values, limits that change while they apply, tariffs."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from csms_gateway.tables.declarative import Table


class EventStream(Table):
    """A stream of periodic values that a station has opened."""

    __tablename__ = "event_stream"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    stream_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    operator_id: Mapped[UUID]
    variable_monitoring_id: Mapped[int]
    params: Mapped[dict[str, Any]]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class DynamicSchedule(Table):
    """The last limits that a station took for a dynamic charging profile."""

    __tablename__ = "dynamic_schedule"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    profile_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    operator_id: Mapped[UUID]
    schedule_update: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class Tariff(Table):
    """Our copy of billing's tariffs: immutable versions, valid until the operator's next one."""

    __tablename__ = "tariff"
    __table_args__ = (Index(None, "operator_id", "valid_from"),)

    tariff_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    name: Mapped[str]
    valid_from: Mapped[datetime]
    currency: Mapped[str]
    tax_included: Mapped[bool]
    vat_percent: Mapped[Decimal] = mapped_column(Numeric)
    energy_price: Mapped[Decimal] = mapped_column(Numeric, comment="per kWh")
    time_price: Mapped[Decimal] = mapped_column(Numeric, comment="per minute")
    start_fee: Mapped[Decimal] = mapped_column(Numeric)
