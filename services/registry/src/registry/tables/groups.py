"""Sets of stations."""

from uuid import UUID

from sqlalchemy import (
    ForeignKeyConstraint,
    Index,
    Integer,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from registry.tables.declarative import Table


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
    own: Mapped[bool]  # put in itself; false: only in a group that is in this one


class StationSubgroup(Table):
    """A group that is in another; never in itself, at no depth (registry.groups.nesting)."""

    __tablename__ = "station_subgroup"
    __table_args__ = (
        ForeignKeyConstraint(
            ["operator_id", "group_id"],
            ["station_group.operator_id", "station_group.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["operator_id", "subgroup_id"],
            ["station_group.operator_id", "station_group.id"],
            ondelete="CASCADE",
        ),
        Index(None, "operator_id"),
        Index(None, "subgroup_id"),
    )

    operator_id: Mapped[UUID]
    group_id: Mapped[UUID] = mapped_column(primary_key=True)
    subgroup_id: Mapped[UUID] = mapped_column(primary_key=True)
