"""What billing needs of other services' things, told by events."""

from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Table
from common.station_groups import StationGroupColumns, StationGroupMemberColumns


class Operator(Table):
    """What billing needs of identity's operators."""

    __tablename__ = "operator"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    time_zone: Mapped[str]
    personal_data_days: Mapped[int | None]


class Station(Table):
    """Where registry's stations stand: some staff may see the sessions of some locations only."""

    __tablename__ = "station"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    location_id: Mapped[UUID | None]


class StationGroup(StationGroupColumns, Table):
    """Told by registry."""


class StationGroupMember(StationGroupMemberColumns, Table):
    """Told by registry, maybe before the group or the station."""


class Partner(Table):
    """What billing needs of identity's partners."""

    __tablename__ = "partner"

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    name: Mapped[str]
    active: Mapped[bool]
