"""Station groups: any set of an operator's stations; a rule or a price may be for one.

A group may hold groups: then it has their stations as well (registry.groups.group_members).

Staff who may see some locations only see the groups that hold a station of theirs, and of those
only their own stations, which they may put in and take out. A group itself is the operator's: it
is made, renamed and deleted by staff who see every location.
"""

from collections.abc import Collection
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox, paging
from common.auth import Caller, Principal, scoped
from common.database import Db, OutsideYourLocations
from common.events import StationGroupChanged
from common.fields import Line, Patch
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem
from common.versions import Expected, require, tag
from registry.fields import StationId
from registry.groups.group_members import AT_ONCE_MAX, alone, gain, lose, members, put_in, take_out
from registry.groups.nesting import DEPTH_MAX, Nesting
from registry.hardware.stations import StationOut
from registry.tables import Station, StationGroup, StationGroupMember, StationSubgroup

router = APIRouter(prefix="/v1/station-groups", tags=["station groups"])

reads = scoped("station-groups:read")
writes = scoped("station-groups:write")


class StationGroupNameTaken(Problem):
    status = 409
    title = "There is a station group with this name already"


class UnknownStation(Problem):
    status = 422
    title = "No such station"


class InASubgroup(Problem):
    status = 409
    title = "The station is in a group that is in this one"


class GroupInItself(Problem):
    status = 409
    title = "A station group cannot be in itself"


class NestedTooDeep(Problem):
    status = 409
    title = "Too many station groups in one another"


class StationGroupIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Line


class StationGroupPatch(Patch):
    name: Line | None = None


class StationGroupOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    version: int
    name: str


class StationsIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    station_ids: Annotated[list[StationId], Field(min_length=1, max_length=AT_ONCE_MAX)]


def _changed(row: StationGroup, *, deleted: bool = False) -> StationGroupChanged:
    return StationGroupChanged(
        operator_id=row.operator_id,
        group_id=row.id,
        version=row.version,
        name=row.name,
        deleted=deleted,
    )


async def _find(db: AsyncSession, group_id: UUID, *, lock: bool = False) -> StationGroup:
    """Raises NotFound, for another operator's too and for one of other locations."""
    query = select(StationGroup).where(StationGroup.id == group_id)
    if lock:
        query = query.with_for_update(key_share=True)
    row = await db.scalar(query)
    if row is None:
        raise NotFound("there is no such station group")
    return row


def _of_every_location(caller: Principal) -> None:
    if caller.locations is not None:
        raise OutsideYourLocations("a group may hold stations of other locations; ask an admin")


@router.get("", summary="List station groups", dependencies=[reads])
async def list_groups(
    db: Db,
    name: Line | None = None,
    station_id: StationId | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[StationGroupOut]:
    query = select(StationGroup)
    if name is not None:
        query = query.where(StationGroup.name == name)
    if station_id is not None:
        held = select(StationGroupMember.group_id).filter_by(station_id=station_id)
        query = query.where(StationGroup.id.in_(held))
    found, next_cursor = await paging.rows(db, query, StationGroup.id, limit=limit, cursor=cursor)
    return Page(
        items=[StationGroupOut.model_validate(row) for row in found], next_cursor=next_cursor
    )


@router.get("/{group_id}", summary="Read a station group", dependencies=[reads])
async def read_group(group_id: UUID, db: Db, response: Response) -> StationGroupOut:
    row = await _find(db, group_id)
    tag(response, row.version)
    return StationGroupOut.model_validate(row)


@router.post("", summary="Make a station group", status_code=201, dependencies=[writes])
async def create_group(
    body: StationGroupIn, db: Db, caller: Caller, response: Response
) -> StationGroupOut:
    _of_every_location(caller)
    new = insert(StationGroup).values(
        operator_id=caller.tenant(), version=1, members_version=0, name=body.name
    )
    row = await db.scalar(new.on_conflict_do_nothing().returning(StationGroup))
    if row is None:
        raise StationGroupNameTaken(f"there is a group {body.name!r}")
    await outbox.emit(db, _changed(row))
    tag(response, row.version)
    return StationGroupOut.model_validate(row)


@router.patch("/{group_id}", summary="Rename a station group", dependencies=[writes])
async def change_group(
    group_id: UUID,
    body: StationGroupPatch,
    db: Db,
    caller: Caller,
    response: Response,
    expected: Expected,
) -> StationGroupOut:
    row = await _find(db, group_id, lock=True)
    _of_every_location(caller)
    require(expected, row.version)
    if body.name is not None and body.name != row.name:
        await _rename(db, row, body.name)
        await outbox.emit(db, _changed(row))
    tag(response, row.version)
    return StationGroupOut.model_validate(row)


async def _rename(db: AsyncSession, row: StationGroup, name: str) -> None:
    """Raises StationGroupNameTaken."""
    row.name = name
    row.version += 1
    try:
        await db.flush()
    except IntegrityError as error:  # a name has no other rule
        raise StationGroupNameTaken(f"there is a group {name!r}") from error


@router.delete(
    "/{group_id}", status_code=204, summary="Delete a station group", dependencies=[writes]
)
async def delete_group(group_id: UUID, db: Db, caller: Caller, expected: Expected) -> None:
    """Its stations stay. Access rules that name it go on for those that were in it last."""
    row, nesting = await _alone(db, group_id)
    _of_every_location(caller)
    require(expected, row.version)
    row.version += 1
    await outbox.emit(db, _changed(row, deleted=True))
    stations = (await db.scalars(members(group_id))).all()
    await db.execute(delete(StationSubgroup).where(StationSubgroup.subgroup_id == group_id))
    await lose(db, row.operator_id, nesting.above(group_id), stations)
    await db.delete(row)


@router.get(
    "/{group_id}/stations", summary="List the stations of a station group", dependencies=[reads]
)
async def list_members(
    group_id: UUID,
    db: Db,
    own: Annotated[
        bool | None, Query(description="true: put in itself; false: only by a group that is in it")
    ] = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[StationOut]:
    await _find(db, group_id)
    within = members(group_id)
    if own is not None:
        within = within.where(StationGroupMember.own == own)
    query = select(Station).where(Station.id.in_(within))
    found, next_cursor = await paging.rows(db, query, Station.id, limit=limit, cursor=cursor)
    return Page(items=[StationOut.model_validate(row) for row in found], next_cursor=next_cursor)


@router.post(
    "/{group_id}/stations",
    status_code=204,
    summary="Put stations into a station group",
    dependencies=[writes],
)
async def add_members(group_id: UUID, body: StationsIn, db: Db) -> None:
    """Those that are in it already stay. All are put in, or none."""
    row, nesting = await _alone(db, group_id)
    wanted = set(body.station_ids)
    if unknown := wanted - await _stations_of(db, row.operator_id, wanted):
        raise UnknownStation("nothing was put in", station_ids=sorted(unknown))
    await put_in(db, row, nesting, wanted)


@router.put(
    "/{group_id}/stations/{station_id}",
    status_code=204,
    summary="Put a station into a station group",
    dependencies=[writes],
)
async def add_member(group_id: UUID, station_id: StationId, db: Db) -> None:
    row, nesting = await _alone(db, group_id)
    if not await _stations_of(db, row.operator_id, {station_id}):
        raise NotFound("there is no such station")
    await put_in(db, row, nesting, {station_id})


@router.delete(
    "/{group_id}/stations/{station_id}",
    status_code=204,
    summary="Take a station out of a station group",
    dependencies=[writes],
)
async def remove_member(group_id: UUID, station_id: StationId, db: Db) -> None:
    row, nesting = await _alone(db, group_id)
    if not await take_out(db, row, nesting, station_id):
        raise InASubgroup("take it out of the group that is in this one")


async def _stations_of(db: AsyncSession, operator_id: UUID, ids: Collection[str]) -> set[str]:
    """The operator is compared here as well: a platform admin sees every operator's stations."""
    ours = select(Station.id).where(Station.operator_id == operator_id, Station.id.in_(ids))
    return set(await db.scalars(ours))


async def _alone(db: AsyncSession, group_id: UUID) -> tuple[StationGroup, Nesting]:
    """The group, with who is in it and in any other of the operator's locked. Raises NotFound."""
    nesting = await alone(db, (await _find(db, group_id)).operator_id)
    return await _find(db, group_id, lock=True), nesting


@router.get(
    "/{group_id}/groups",
    summary="List the groups that are in a station group",
    dependencies=[reads],
)
async def list_subgroups(
    group_id: UUID, db: Db, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[StationGroupOut]:
    """Those put into it, not those deeper."""
    await _find(db, group_id)
    within = select(StationSubgroup.subgroup_id).where(StationSubgroup.group_id == group_id)
    query = select(StationGroup).where(StationGroup.id.in_(within))
    found, next_cursor = await paging.rows(db, query, StationGroup.id, limit=limit, cursor=cursor)
    items = [StationGroupOut.model_validate(row) for row in found]
    return Page(items=items, next_cursor=next_cursor)


@router.put(
    "/{group_id}/groups/{subgroup_id}",
    status_code=204,
    summary="Put a station group into another",
    dependencies=[writes],
)
async def add_subgroup(group_id: UUID, subgroup_id: UUID, db: Db, caller: Caller) -> None:
    """What is in the one is in the other from now on, however deep."""
    row, nesting = await _alone(db, group_id)
    _of_every_location(caller)
    subgroup = await _find(db, subgroup_id)
    if subgroup.operator_id != row.operator_id:  # a platform admin sees both
        raise NotFound("there is no such station group")
    if nesting.holds(subgroup_id, group_id):
        raise GroupInItself("a group cannot be in itself, nor in a group that is in it")
    if nesting.depth_with(group_id, subgroup_id) > DEPTH_MAX:
        raise NestedTooDeep(f"groups stand in groups at most {DEPTH_MAX} deep")
    pair = {"operator_id": row.operator_id, "group_id": group_id, "subgroup_id": subgroup_id}
    await db.execute(insert(StationSubgroup).values(**pair).on_conflict_do_nothing())
    stations = (await db.scalars(members(subgroup_id))).all()
    await gain(db, row.operator_id, [group_id, *nesting.above(group_id)], stations)


@router.delete(
    "/{group_id}/groups/{subgroup_id}",
    status_code=204,
    summary="Take a station group out of another",
    dependencies=[writes],
)
async def remove_subgroup(group_id: UUID, subgroup_id: UUID, db: Db, caller: Caller) -> None:
    row, nesting = await _alone(db, group_id)
    _of_every_location(caller)
    pair = (StationSubgroup.group_id == group_id, StationSubgroup.subgroup_id == subgroup_id)
    await db.execute(delete(StationSubgroup).where(*pair))
    stations = (await db.scalars(members(subgroup_id))).all()
    await lose(db, row.operator_id, [group_id, *nesting.above(group_id)], stations)
