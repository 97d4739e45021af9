"""Registry's groups of stations, as other services keep them: tables station_group and
station_group_member in the service's own schema.

Members may be told before their group or their station; one taken out stays as its version. A
deleted group stays too: what names it goes on for the stations that were in it last.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from common.events import StationGroupChanged, StationGroupMembersChanged


class StationGroupColumns:
    """A deleted one stays: what names it goes on for its last stations."""

    __tablename__ = "station_group"

    group_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    name: Mapped[str]
    deleted: Mapped[bool]


class StationGroupMemberColumns:
    """One taken out stays as its version. The station comes first: its groups are asked for."""

    __tablename__ = "station_group_member"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    group_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    member: Mapped[bool]


KEEP_GROUP: Final = text(
    "insert into station_group as was (group_id, operator_id, version, name, deleted) "
    "values (:group_id, :operator_id, :version, :name, :deleted) "
    "on conflict (group_id) do update set operator_id = excluded.operator_id, "
    "version = excluded.version, name = excluded.name, deleted = excluded.deleted "
    "where was.version < excluded.version"
)
# Made once, since to put a statement of a thousand rows together costs more than to send it; in
# the order of the key, so that two events of one group cannot wait for each other in a circle.
KEEP_MEMBERS: Final = text(
    "insert into station_group_member as was (station_id, group_id, operator_id, version, member) "
    "select station_id, :group_id, :operator_id, :version, member "
    "from unnest(cast(:station_ids as text[]), cast(:members as boolean[])) "
    "as told (station_id, member) order by station_id "
    "on conflict (station_id, group_id) do update "
    "set version = excluded.version, member = excluded.member where was.version < excluded.version"
)


async def keep_group(db: AsyncSession, event: StationGroupChanged) -> None:
    columns = {"group_id", "operator_id", "version", "name", "deleted"}
    await db.execute(KEEP_GROUP, event.model_dump(include=columns))


async def keep_members(db: AsyncSession, event: StationGroupMembersChanged) -> None:
    told = dict.fromkeys(event.removed, False) | dict.fromkeys(event.added, True)
    values = {
        "group_id": event.group_id,
        "operator_id": event.operator_id,
        "version": event.version,
        "station_ids": list(told),
        "members": list(told.values()),
    }
    await db.execute(KEEP_MEMBERS, values)
