"""Charging profiles: the named ones of operators, and those known to be on stations."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from csms_gateway.tables.declarative import Table


class ChargingProfile(Table):
    """A named profile that can be sent to any station."""

    __tablename__ = "charging_profile"
    __table_args__ = (
        UniqueConstraint("operator_id", "name"),
        Index(
            "uq_charging_profile_for_evs",
            "operator_id",
            unique=True,
            postgresql_where=text("for_evs"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    name: Mapped[str]
    for_evs: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="what EVs that tell their needs are offered"
    )
    profile: Mapped[dict[str, Any]] = mapped_column(comment="commands.kinds.ChargingProfile")


class InstalledChargingProfile(Table):
    """A profile on a station, as far as its answers and reports tell."""

    __tablename__ = "installed_charging_profile"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    profile_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    operator_id: Mapped[UUID] = mapped_column(index=True)
    evse_id: Mapped[int] = mapped_column(comment="0: the whole station")
    stack_level: Mapped[int]
    purpose: Mapped[str] = mapped_column(comment="in the words of commands.kinds.ChargingProfile")
    session_id: Mapped[UUID | None] = mapped_column(comment="of a tx profile")
    valid_from: Mapped[datetime | None]
    valid_to: Mapped[datetime | None]
    source: Mapped[str] = mapped_column(comment="CSO: set by us; else as the station reported")
    profile: Mapped[dict[str, Any]] = mapped_column(comment="as OCPP has it")
    told_at: Mapped[datetime]
