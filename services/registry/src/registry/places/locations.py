"""Places where stations stand."""

from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy import select

from common import outbox, paging, single
from common.auth import Caller, scoped
from common.database import Db
from common.events import LocationChanged
from common.fields import Line, Patch
from common.paging import Cursor, Limit, Page
from common.versions import Expected, require
from registry import tables
from registry.fields import Latitude, Longitude, TimeZone
from registry.places.models import Access, Address, Contacts, Facilities, LocationIn, Place
from registry.places.opening_hours import Hours

router = APIRouter(prefix="/v1/locations", tags=["locations"])


reads = scoped("locations:read")
writes = scoped("locations:write")


class LocationPatch(Patch):
    """What is an object is replaced as a whole."""

    may_be_null = frozenset({"latitude", "longitude", "opening_times", "access", "contacts"})

    name: Line | None = None
    address: Address | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    time_zone: TimeZone | None = None
    publish: bool | None = None
    opening_times: Hours | None = None
    access: Access | None = None
    facilities: Facilities | None = None
    contacts: Contacts | None = None


class LocationOut(Place):
    id: UUID
    operator_id: UUID
    version: int


def _out(row: tables.Location) -> LocationOut:
    columns = {name: getattr(row, name) for name in LocationOut.model_fields if name != "address"}
    return LocationOut(**columns, address=Address.model_validate(row, from_attributes=True))


def changed(row: tables.Location) -> LocationChanged:
    return LocationChanged(
        operator_id=row.operator_id,
        location_id=row.id,
        version=row.version,
        name=row.name,
        time_zone=row.time_zone,
    )


@router.get("", summary="List locations", dependencies=[reads])
async def list_locations(
    db: Db, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[LocationOut]:
    found, next_cursor = await paging.rows(
        db, select(tables.Location), tables.Location.id, limit=limit, cursor=cursor
    )
    return Page(items=[_out(row) for row in found], next_cursor=next_cursor)


@router.get("/{location_id}", summary="Read a location", dependencies=[reads])
async def read_location(location_id: UUID, db: Db, response: Response) -> LocationOut:
    row = await single.get(db, tables.Location, location_id)
    return _out(single.tagged(response, row))


@router.post("", summary="Make a location", status_code=201, dependencies=[writes])
async def create_location(
    body: LocationIn, db: Db, caller: Caller, response: Response
) -> LocationOut:
    row = tables.Location(operator_id=caller.tenant(), **body.columns())
    db.add(row)
    await db.flush()
    await outbox.emit(db, changed(row))
    return _out(single.tagged(response, row))


@router.patch("/{location_id}", summary="Change a location", dependencies=[writes])
async def change_location(
    location_id: UUID, body: LocationPatch, db: Db, response: Response, expected: Expected
) -> LocationOut:
    row = await single.get(db, tables.Location, location_id)
    require(expected, row.version)
    was = _out(row).model_dump(include=set(LocationIn.model_fields))
    try:
        wanted = LocationIn.model_validate(was | body.changes())
    except ValidationError as error:
        # What was sent is good, but not together with what stands.
        raise RequestValidationError(
            [{**e, "loc": ("body", *e["loc"])} for e in error.errors()]
        ) from error
    if wanted.model_dump() != was:
        based_on = frozenset({row.version})
        row = await single.change(db, tables.Location, row.id, based_on, wanted.columns())
        await outbox.emit(db, changed(row))
    return _out(single.tagged(response, row))
