"""Places where stations stand."""

from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox, paging
from common.auth import Caller, scoped
from common.database import Db
from common.events import LocationChanged
from common.fields import Line
from common.paging import Cursor, Limit, Page
from common.problems import NotFound
from common.versions import Expected, require, tag
from registry import tables
from registry.fields import Country, Latitude, Longitude, TimeZone, unchanged

router = APIRouter(prefix="/v1/locations", tags=["locations"])


class Address(BaseModel):
    model_config = ConfigDict(extra="forbid", from_attributes=True)

    street: Line
    postal_code: Annotated[Line, Field(max_length=20)]
    city: Line
    country: Country


class LocationIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Line
    address: Address
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    time_zone: TimeZone = "Europe/Berlin"

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("give latitude and longitude, or neither")
        return self

    def columns(self) -> dict[str, Any]:
        values = self.model_dump()
        return {**values.pop("address"), **values}


class LocationPatch(BaseModel):
    """What is not sent stays; an address is replaced as a whole."""

    model_config = ConfigDict(extra="forbid")

    name: Line = unchanged()
    address: Address = unchanged()
    latitude: Latitude | None = unchanged()
    longitude: Longitude | None = unchanged()
    time_zone: TimeZone = unchanged()


class LocationOut(LocationIn):
    model_config = ConfigDict(extra="ignore")

    id: UUID
    operator_id: UUID
    version: int


def _out(row: tables.Location) -> LocationOut:
    columns = {name: getattr(row, name) for name in LocationOut.model_fields if name != "address"}
    return LocationOut(**columns, address=Address.model_validate(row))


def _changed(row: tables.Location) -> LocationChanged:
    return LocationChanged(
        operator_id=row.operator_id,
        location_id=row.id,
        version=row.version,
        name=row.name,
        time_zone=row.time_zone,
    )


async def _find(db: AsyncSession, location_id: UUID, *, lock: bool = False) -> tables.Location:
    """Raises NotFound, for another operator's too."""
    query = select(tables.Location).where(tables.Location.id == location_id)
    if lock:
        query = query.with_for_update(key_share=True)
    row = await db.scalar(query)
    if row is None:
        raise NotFound("there is no such location")
    return row


@router.get("", summary="List locations", dependencies=[scoped("locations:read")])
async def list_locations(
    db: Db, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[LocationOut]:
    found, next_cursor = await paging.rows(
        db, select(tables.Location), tables.Location.id, limit=limit, cursor=cursor
    )
    return Page(items=[_out(row) for row in found], next_cursor=next_cursor)


@router.get("/{location_id}", summary="Read a location", dependencies=[scoped("locations:read")])
async def read_location(location_id: UUID, db: Db, response: Response) -> LocationOut:
    row = await _find(db, location_id)
    tag(response, row.version)
    return _out(row)


@router.post(
    "", summary="Make a location", status_code=201, dependencies=[scoped("locations:write")]
)
async def create_location(
    body: LocationIn, db: Db, caller: Caller, response: Response
) -> LocationOut:
    row = tables.Location(operator_id=caller.tenant(), version=1, **body.columns())
    db.add(row)
    await db.flush()
    await outbox.emit(db, _changed(row))
    tag(response, row.version)
    return _out(row)


@router.patch(
    "/{location_id}", summary="Change a location", dependencies=[scoped("locations:write")]
)
async def change_location(
    location_id: UUID, body: LocationPatch, db: Db, response: Response, expected: Expected
) -> LocationOut:
    row = await _find(db, location_id, lock=True)
    require(expected, row.version)
    was = LocationIn.model_validate(_out(row).model_dump(include=set(LocationIn.model_fields)))
    try:
        wanted = LocationIn.model_validate(was.model_dump() | body.model_dump(exclude_unset=True))
    except ValidationError as error:
        # What was sent is good, but not together with what stands.
        raise RequestValidationError(
            [{**e, "loc": ("body", *e["loc"])} for e in error.errors()]
        ) from error
    if wanted != was:
        for name, value in wanted.columns().items():
            setattr(row, name, value)
        row.version += 1
        await db.flush()
        await outbox.emit(db, _changed(row))
    tag(response, row.version)
    return _out(row)
