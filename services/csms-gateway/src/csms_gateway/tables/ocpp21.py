"""What only OCPP 2.1 has: streams of values, limits that change while they apply, tariffs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.tariffs import TariffColumns
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


class Tariff(TariffColumns, Table):
    """Our copy of billing's tariffs."""

    definition: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="events.TariffPrices.definition"
    )
    lines: Mapped[list[dict[str, Any]]] = mapped_column(
        server_default=text("'[]'"), comment="events.PriceLine"
    )


class StrategyAssignment(Table):
    """Our copy of billing's: whom it may charge by other tariffs than the operator's own."""

    __tablename__ = "strategy_assignment"
    __table_args__ = (Index(None, "operator_id"),)

    assignment_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    holder_kind: Mapped[str]
    holder_id: Mapped[UUID | None]
    removed: Mapped[bool]
