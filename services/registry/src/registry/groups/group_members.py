"""Who is in a station group: the stations put into it, and those of the groups that are in it.

Kept as rows, one a station and group, so that whoever asks for a group's stations needs not know
that groups hold groups; only `own` tells those that were put in themselves. Each change goes up
through the groups above, and each of them tells what it gained or lost.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox
from common.events import StationGroupMembersChanged
from registry.groups.nesting import Nesting
from registry.tables import StationGroup, StationGroupMember, StationSubgroup

# Ids of 48 characters: an event of them is 52 kB, and NATS takes 1 MiB.
AT_ONCE_MAX: Final = 1000

_ALONE = text("select pg_advisory_xact_lock(hashtext('station groups'), hashtext(:operator))")
_GAIN = text(
    "insert into station_group_member (operator_id, group_id, station_id, own) "
    "select :operator_id, :group_id, station_id, false "
    "from unnest(cast(:station_ids as text[])) as told (station_id) order by station_id "
    "on conflict (group_id, station_id) do nothing returning station_id"
)
_LOST = text(
    "select m.station_id from station_group_member m "
    "where m.group_id = :group_id and m.station_id = any(cast(:station_ids as text[])) "
    "and not m.own and not exists (select from station_subgroup s "
    "join station_group_member below on below.group_id = s.subgroup_id "
    "where s.group_id = m.group_id and below.station_id = m.station_id)"
)
# One array, for a statement takes 32,767 values and a group may have more stations.
_TAKE = text(
    "delete from station_group_member "
    "where group_id = :group_id and station_id = any(cast(:station_ids as text[]))"
)


async def alone(db: AsyncSession, operator_id: UUID) -> Nesting:
    """Nobody else changes who is in this operator's groups until the transaction ends."""
    await db.execute(_ALONE, {"operator": str(operator_id)})
    pairs = select(StationSubgroup.group_id, StationSubgroup.subgroup_id)
    found = await db.execute(pairs.where(StationSubgroup.operator_id == operator_id))
    return Nesting((group, subgroup) for group, subgroup in found)


def members(group_id: UUID) -> Select[str]:
    return select(StationGroupMember.station_id).where(StationGroupMember.group_id == group_id)


async def put_in(
    db: AsyncSession, group: StationGroup, nesting: Nesting, wanted: Collection[str]
) -> None:
    """Those that are in it already stay; those in it by a subgroup are now its own as well."""
    within = members(group.id).where(StationGroupMember.station_id.in_(wanted))
    new = sorted(set(wanted) - set(await db.scalars(within)))
    into = insert(StationGroupMember).on_conflict_do_update(
        index_elements=["group_id", "station_id"],
        set_={"own": True},
        where=~StationGroupMember.own,
    )
    key = {"operator_id": group.operator_id, "group_id": group.id}
    await db.execute(into, [{**key, "station_id": one, "own": True} for one in sorted(wanted)])
    await _tell(db, key, await _versions(db, group.id, new), added=new)
    await gain(db, group.operator_id, nesting.above(group.id), new)


async def take_out(
    db: AsyncSession, group: StationGroup, nesting: Nesting, station_id: str
) -> bool:
    """False: it stays, by a group that is in this one."""
    this = (StationGroupMember.group_id == group.id, StationGroupMember.station_id == station_id)
    await db.execute(update(StationGroupMember).where(*this).values(own=False))
    await lose(db, group.operator_id, [group.id, *nesting.above(group.id)], [station_id])
    return await db.scalar(select(StationGroupMember.station_id).where(*this)) is None


async def gain(
    db: AsyncSession, operator_id: UUID, groups: Sequence[UUID], stations: Collection[str]
) -> None:
    """These groups have these stations by a subgroup from now on."""
    for group_id in groups:
        key = {"operator_id": operator_id, "group_id": group_id}
        new = sorted(await db.scalars(_GAIN, {**key, "station_ids": list(stations)}))
        # First the stations: without one of theirs staff of a location do not see the group.
        await _tell(db, key, await _versions(db, group_id, new), added=new)


async def lose(
    db: AsyncSession, operator_id: UUID, groups: Sequence[UUID], stations: Collection[str]
) -> None:
    """Which of these stations do these groups, in the order of above(), hold no more?"""
    for group_id in groups:
        key = {"operator_id": operator_id, "group_id": group_id}
        asked = {"group_id": group_id, "station_ids": list(stations)}
        gone = sorted(await db.scalars(_LOST, asked))
        # First the version: without its last station staff of that location see the group no more.
        versions = await _versions(db, group_id, gone)
        if gone:
            await db.execute(_TAKE, {"group_id": group_id, "station_ids": gone})
        await _tell(db, key, versions, removed=gone)


async def _versions(db: AsyncSession, group_id: UUID, changed: Sequence[str]) -> range:
    """One a message that tells of these."""
    messages = -(-len(changed) // AT_ONCE_MAX)
    if not messages:
        return range(0)
    later = update(StationGroup).where(StationGroup.id == group_id)
    later = later.values(members_version=StationGroup.members_version + messages)
    last: int = (await db.scalars(later.returning(StationGroup.members_version))).one()
    return range(last - messages + 1, last + 1)


async def _tell(
    db: AsyncSession,
    key: dict[str, Any],
    versions: range,
    *,
    added: Sequence[str] = (),
    removed: Sequence[str] = (),
) -> None:
    for piece, version in enumerate(versions):
        part = slice(piece * AT_ONCE_MAX, (piece + 1) * AT_ONCE_MAX)
        event = StationGroupMembersChanged(
            **key, version=version, added=tuple(added[part]), removed=tuple(removed[part])
        )
        await outbox.emit(db, event)
