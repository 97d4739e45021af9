"""Photos of a location: a few, small, of kinds that a browser shows; of published ones for all."""

import hashlib
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from common import images, single, uploads
from common.auth import scoped
from common.clock import now
from common.database import PLATFORM, Connections, Db
from common.fields import Line
from common.problems import NotFound, Problem
from common.uploads import IMAGE_ANSWERED, IMAGE_SENT
from registry.places.models import ImageCategory
from registry.tables import Location, LocationPhoto

router = APIRouter(prefix="/v1", tags=["locations"])

reads = scoped("locations:read")
writes = scoped("locations:write")

PHOTOS_MAX: Final = 10  # of a location
PHOTO_BYTES_MAX: Final = 2 * 2**20


class PhotoTooLarge(Problem):
    status = 413
    title = "The photo is too large"


class NotAPhoto(Problem):
    status = 415
    title = "A photo is a PNG, JPEG or WebP image"


class TooManyPhotos(Problem):
    status = 409
    title = "The location has as many photos as it may"


class PhotoOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    category: ImageCategory
    caption: str | None = Field(description="what it shows, for who cannot see it")
    media_type: str
    width: int
    height: int
    size_bytes: int
    added_at: datetime
    url: str


class PhotosOut(BaseModel):
    items: list[PhotoOut]


def _out(row: LocationPhoto) -> PhotoOut:
    facts = {name: getattr(row, name) for name in PhotoOut.model_fields if name != "url"}
    url = f"/v1/public/locations/{row.location_id}/photos/{row.id}"
    return PhotoOut(**facts, url=f"{url}?v={row.digest[:8]}")


@router.get("/locations/{location_id}/photos", summary="Photos of a location", dependencies=[reads])
async def list_photos(location_id: UUID, db: Db) -> PhotosOut:
    await single.get(db, Location, location_id)
    query = select(LocationPhoto).where(LocationPhoto.location_id == location_id)
    found = (await db.scalars(query.order_by(LocationPhoto.id))).all()
    return PhotosOut(items=[_out(row) for row in found])


@router.post(
    "/locations/{location_id}/photos",
    summary="Add a photo",
    status_code=201,
    dependencies=[writes],
    openapi_extra=IMAGE_SENT,
)
async def add_photo(
    location_id: UUID,
    request: Request,
    db: Db,
    category: ImageCategory = "LOCATION",
    caption: Line | None = None,
) -> PhotoOut:
    """The body is the image: PNG, JPEG or WebP of 2 MiB and 4096 pixels a side; ten at most."""
    too_large = PhotoTooLarge(f"at most {PHOTO_BYTES_MAX // 2**20} MiB")
    data = await uploads.body(request, PHOTO_BYTES_MAX, too_large)
    try:
        image = images.of(data)
    except ValueError as error:
        raise NotAPhoto(str(error)) from error
    # Locked, so that two at once are counted one after the other.
    place = await db.get(Location, location_id, with_for_update={"key_share": True})
    if place is None:
        raise NotFound("there is no such location")
    mine = LocationPhoto.location_id == location_id
    count = await db.scalar(select(func.count()).select_from(LocationPhoto).where(mine))
    if (count or 0) >= PHOTOS_MAX:
        raise TooManyPhotos(f"at most {PHOTOS_MAX}; remove one")
    row = LocationPhoto(
        operator_id=place.operator_id,
        location_id=location_id,
        category=category,
        caption=caption,
        image=data,
        **image._asdict(),
        size_bytes=len(data),
        digest=hashlib.sha256(data).hexdigest()[:32],
        added_at=now(),
    )
    db.add(row)
    await db.flush()
    return _out(row)


@router.delete(
    "/locations/{location_id}/photos/{photo_id}",
    summary="Remove a photo",
    status_code=204,
    dependencies=[writes],
)
async def remove_photo(location_id: UUID, photo_id: UUID, db: Db) -> None:
    await _photo(db, location_id, photo_id)
    await db.execute(delete(LocationPhoto).where(LocationPhoto.id == photo_id))


@router.get(
    "/public/locations/{location_id}/photos/{photo_id}",
    summary="A photo of a published location",
    response_class=Response,
    responses=IMAGE_ANSWERED,
)
async def read_photo(
    location_id: UUID,
    photo_id: UUID,
    request: Request,
    if_none_match: Annotated[str | None, Header(max_length=400)] = None,
) -> Response:
    connections: Connections = request.app.state.connections
    # Of any operator: what is published is for everybody.
    async with connections.begin(PLATFORM) as db:
        row = await _photo(db, location_id, photo_id, whole=True, published=True)
    return uploads.image(row.image, row.media_type, row.digest, if_none_match)


async def _photo(
    db: AsyncSession,
    location_id: UUID,
    photo_id: UUID,
    *,
    whole: bool = False,
    published: bool = False,
) -> LocationPhoto:
    """whole: with its image. Raises NotFound."""
    query = select(LocationPhoto).filter_by(id=photo_id, location_id=location_id)
    if whole:
        query = query.options(undefer(LocationPhoto.image))
    if published:
        query = query.join(Location, Location.id == LocationPhoto.location_id)
        query = query.where(Location.publish)
    row = await db.scalar(query)
    if row is None:
        raise NotFound("there is no such photo")
    return row
