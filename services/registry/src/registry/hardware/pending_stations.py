"""Stations that connected although nobody has made them, until staff adopt or refuse them.

The gateway holds their sockets (its setting unknown_stations) and tells of them here.
"""

import logging
from datetime import datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import case, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import credentials, outbox, paging
from common.auth import Caller, scoped
from common.clock import now
from common.database import Db
from common.events import StationDiscovered, StationRefused
from common.fields import Line
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem
from registry.fields import StationId
from registry.hardware import stations, templates
from registry.hardware.models import Evses
from registry.tables import PendingStation, Station

log = logging.getLogger(__name__)

PENDING_MAX: Final = 1000  # anybody on the internet can make one
KEEP: Final = timedelta(days=30)
REFUSED_FOR: Final = timedelta(days=1)
TEXT_MAX: Final = 200  # a Line

router = APIRouter(prefix="/v1/pending-stations", tags=["pending stations"])


class OperatorUnknown(Problem):
    status = 422
    title = "Say which operator the station is for"


class PendingStationOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    operator_id: UUID | None = Field(description="null: the platform's to decide")
    protocol: str | None
    vendor: str | None = Field(description="as the station says")
    model: str | None
    serial_number: str | None
    firmware_version: str | None
    address: str = Field(description="that it connected from")
    first_seen_at: datetime
    last_seen_at: datetime
    refused_until: datetime | None = Field(description="not wanted; it may ask again then")
    template_id: UUID | None = Field(
        default=None, description="of its vendor and model: what it is made of when adopted"
    )


class AdoptIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Line | None = Field(default=None, description="null: its id")
    location_id: UUID | None = None
    template_id: UUID | None = Field(
        default=None, description="null: the template of its vendor and model, if there is one"
    )
    evses: Evses | None = Field(default=None, description="instead of a template's")
    operator_id: UUID | None = Field(
        default=None, description="whose it is to be; for platform admins only"
    )
    hand_over: bool = Field(
        default=True,
        description="give the station a password over the connection that it waits on; the one "
        "in the answer is good until it uses that",
    )

    @model_validator(mode="after")
    def _made_of_one(self) -> Self:
        if self.template_id is not None and self.evses is not None:
            raise ValueError("give evses or template_id, not both")
        return self


@router.get(
    "",
    summary="Unknown stations that wait, and those refused",
    dependencies=[scoped("stations:read")],
)
async def list_pending_stations(
    db: Db,
    caller: Caller,
    refused: bool | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[PendingStationOut]:
    # One may have been made by its id meanwhile.
    query = select(PendingStation).where(PendingStation.id.not_in(select(Station.id)))
    if refused is not None:
        waits = or_(PendingStation.refused_until.is_(None), PendingStation.refused_until < now())
        query = query.where(~waits if refused else waits)
    found, after = await paging.rows(db, query, PendingStation.id, limit=limit, cursor=cursor)
    items = [PendingStationOut.model_validate(row) for row in found]
    fitting = await templates.by_model(db)
    for one in items:
        operator_id = one.operator_id or caller.operator_id
        if operator_id and one.vendor and one.model:
            key = (operator_id, one.vendor.lower(), one.model.lower())
            one.template_id = fitting.get(key)
    return Page(items=items, next_cursor=after)


async def _pending(db: AsyncSession, station_id: str) -> PendingStation:
    row = await db.get(PendingStation, station_id, with_for_update=True)
    if row is None:
        raise NotFound("there is no such pending station")
    return row


@router.post(
    "/{station_id}/adopt",
    summary="Make a station of it; answers its password once",
    status_code=201,
    dependencies=[scoped("stations:write")],
)
async def adopt_station(
    station_id: StationId,
    body: AdoptIn,
    db: Db,
    caller: Caller,
    request: Request,
    response: Response,
) -> stations.StationCreated:
    """The station is given a password where it waits, if it takes one; then its socket is closed,
    and it comes back with it.
    """
    row = await _pending(db, station_id)
    operator_id = row.operator_id or caller.operator_id or body.operator_id
    if operator_id is None or (caller.operator_id and operator_id != caller.operator_id):
        raise OperatorUnknown("give operator_id")
    made_of: dict[str, Any] = {"template_id": body.template_id}
    if body.evses is not None:
        made_of |= {"evses": body.evses}
    elif body.template_id is None:
        template = await templates.for_model(db, operator_id, row.vendor, row.model)
        made_of = {"template_id": template.id if template else None}
    wanted = stations.StationIn(
        id=row.id,
        name=body.name or row.id,
        location_id=body.location_id,
        vendor=_line(row.vendor),
        model=_line(row.model),
        **made_of,
    )
    made = await stations.make(db, operator_id, wanted, request, response, hand_over=body.hand_over)
    await db.delete(row)
    return made


@router.delete(
    "/{station_id}",
    summary="Refuse it for a day",
    status_code=204,
    dependencies=[scoped("stations:write")],
)
async def refuse_station(station_id: StationId, db: Db) -> None:
    row = await _pending(db, station_id)
    row.refused_until = now() + REFUSED_FOR
    await db.flush()
    event = StationRefused(
        operator_id=row.operator_id, station_id=row.id, refused_until=row.refused_until
    )
    await outbox.emit(db, event)


async def note_discovery(db: AsyncSession, event: StationDiscovered) -> None:
    if event.accepted:
        await _enter(db, event)
        return
    if await db.scalar(select(Station.id).where(Station.id == event.station_id)):
        return  # somebody has made it meanwhile
    await db.execute(
        delete(PendingStation).where(PendingStation.last_seen_at < event.occurred_at - KEEP)
    )
    count = await db.scalar(select(func.count()).select_from(PendingStation))
    known = await db.get(PendingStation, event.station_id)
    if known is None and (count or 0) >= PENDING_MAX:
        log.warning("too many pending stations; %r is not kept", event.station_id)
        return
    words = {
        "protocol": _line(event.protocol),
        "vendor": _line(event.vendor),
        "model": _line(event.model),
        "serial_number": _line(event.serial_number),
        "firmware_version": _line(event.firmware_version),
        "address": _line(event.address) or "",
    }
    new = insert(PendingStation).values(
        id=event.station_id,
        operator_id=event.operator_id,
        first_seen_at=event.occurred_at,
        last_seen_at=event.occurred_at,
        **words,
    )
    over = PendingStation.refused_until < event.occurred_at
    newer = new.on_conflict_do_update(
        index_elements=["id"],
        set_={
            **words,
            "last_seen_at": event.occurred_at,
            "refused_until": case((over, None), else_=PendingStation.refused_until),
        },
        where=PendingStation.last_seen_at < event.occurred_at,
    )
    await db.execute(newer)


async def _enter(db: AsyncSession, event: StationDiscovered) -> None:
    """The gateway has let it in: only its entry is missing. It has no password yet, so the one
    made here is told to nobody; POST …/password gives it one.
    """
    assert event.operator_id is not None
    body = stations.StationIn(id=event.station_id, name=event.station_id)
    if await stations.add(db, event.operator_id, body, credentials.new_secret()) is None:
        log.warning("the station %r was made by somebody meanwhile", event.station_id)


def _line(words: str | None) -> str | None:
    """A stranger's words as a line of text."""
    if words is None:
        return None
    return "".join(sign for sign in words if sign.isprintable()).strip()[:TEXT_MAX] or None
