"""What billing needs of other services' things, told by events."""

from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Table


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


class StationGroup(Table):
    """Told by registry. A deleted one stays: agreements go on for its last stations."""

    __tablename__ = "station_group"

    group_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    name: Mapped[str]
    deleted: Mapped[bool]


class StationGroupMember(Table):
    """Told by registry, maybe before the group. One taken out stays as its version."""

    __tablename__ = "station_group_member"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    group_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    member: Mapped[bool]


class Partner(Table):
    """What billing needs of identity's partners."""

    __tablename__ = "partner"

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    name: Mapped[str]
    active: Mapped[bool]
