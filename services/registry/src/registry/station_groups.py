"""Station groups: any set of an operator's stations; a rule or a price may be for one.

Staff who may see some locations only see the groups that hold a station of theirs, and of those
only their own stations, which they may put in and take out. A group itself is the operator's: it
is made, renamed and deleted by staff who see every location.
"""

from collections.abc import Collection
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox, paging
from common.auth import Caller, Principal, scoped
from common.database import Db, OutsideYourLocations
from common.events import StationGroupChanged, StationGroupMembersChanged
from common.fields import Line
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem
from common.versions import Expected, require, tag
from registry.fields import StationId, unchanged
from registry.stations import StationOut
from registry.tables import Station, StationGroup, StationGroupMember

router = APIRouter(prefix="/v1/station-groups", tags=["station groups"])

reads = scoped("station-groups:read")
writes = scoped("station-groups:write")

# Ids of 48 characters: an event of them is 52 kB, and NATS takes 1 MiB.
AT_ONCE_MAX: Final = 1000


class StationGroupNameTaken(Problem):
    status = 409
    title = "There is a station group with this name already"


class UnknownStation(Problem):
    status = 422
    title = "No such station"


class StationGroupIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Line


class StationGroupPatch(BaseModel):
    """What is not sent stays."""

    model_config = ConfigDict(extra="forbid")

    name: Line = unchanged()


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


def _members(group_id: UUID) -> Select[str]:
    return select(StationGroupMember.station_id).where(StationGroupMember.group_id == group_id)


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
    if "name" in body.model_fields_set and body.name != row.name:
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
    row = await _find(db, group_id, lock=True)
    _of_every_location(caller)
    require(expected, row.version)
    row.version += 1
    await outbox.emit(db, _changed(row, deleted=True))
    await db.delete(row)


@router.get(
    "/{group_id}/stations", summary="List the stations of a station group", dependencies=[reads]
)
async def list_members(
    group_id: UUID, db: Db, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[StationOut]:
    await _find(db, group_id)
    query = select(Station).where(Station.id.in_(_members(group_id)))
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
    row = await _find(db, group_id, lock=True)
    wanted = set(body.station_ids)
    if unknown := wanted - await _stations_of(db, row.operator_id, wanted):
        raise UnknownStation("nothing was put in", station_ids=sorted(unknown))
    await _put_in(db, row, wanted)


@router.put(
    "/{group_id}/stations/{station_id}",
    status_code=204,
    summary="Put a station into a station group",
    dependencies=[writes],
)
async def add_member(group_id: UUID, station_id: StationId, db: Db) -> None:
    row = await _find(db, group_id, lock=True)
    if not await _stations_of(db, row.operator_id, {station_id}):
        raise NotFound("there is no such station")
    await _put_in(db, row, {station_id})


@router.delete(
    "/{group_id}/stations/{station_id}",
    status_code=204,
    summary="Take a station out of a station group",
    dependencies=[writes],
)
async def remove_member(group_id: UUID, station_id: StationId, db: Db) -> None:
    row = await _find(db, group_id, lock=True)
    this = (StationGroupMember.group_id == group_id, StationGroupMember.station_id == station_id)
    if await db.scalar(select(StationGroupMember.station_id).where(*this)) is None:
        return
    # First of all: without its last station staff of that location see the group no more.
    version = await _next_version(db, group_id)
    await db.execute(delete(StationGroupMember).where(*this))
    await _tell(db, row, version, removed={station_id})


async def _stations_of(db: AsyncSession, operator_id: UUID, ids: Collection[str]) -> set[str]:
    """The operator is compared here as well: a platform admin sees every operator's stations."""
    ours = select(Station.id).where(Station.operator_id == operator_id, Station.id.in_(ids))
    return set(await db.scalars(ours))


async def _put_in(db: AsyncSession, row: StationGroup, wanted: set[str]) -> None:
    """Nobody else changes who is in it meanwhile: the group is locked."""
    new = wanted - set(await db.scalars(_members(row.id)))
    if not new:
        return
    version = await _next_version(db, row.id)
    group = {"operator_id": row.operator_id, "group_id": row.id}
    members = [{**group, "station_id": one} for one in sorted(new)]
    await db.execute(insert(StationGroupMember), members)
    await _tell(db, row, version, added=new)


async def _next_version(db: AsyncSession, group_id: UUID) -> int:
    later = update(StationGroup).where(StationGroup.id == group_id)
    later = later.values(members_version=StationGroup.members_version + 1)
    version: int = (await db.scalars(later.returning(StationGroup.members_version))).one()
    return version


async def _tell(
    db: AsyncSession,
    row: StationGroup,
    version: int,
    *,
    added: Collection[str] = (),
    removed: Collection[str] = (),
) -> None:
    event = StationGroupMembersChanged(
        operator_id=row.operator_id,
        group_id=row.id,
        version=version,
        added=tuple(sorted(added)),
        removed=tuple(sorted(removed)),
    )
    await outbox.emit(db, event)
