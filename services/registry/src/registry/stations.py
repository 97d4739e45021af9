"""Charging stations, what they are made of, and the password each connects with.

A station is never deleted, only made inactive: sessions and invoices refer to it for years.
"""

from typing import Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import credentials, events, outbox, paging
from common.auth import Caller, scoped
from common.database import Db
from common.fields import Line
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem
from common.versions import Expected, require, tag
from registry import tables
from registry.fields import StationId, unchanged
from registry.hardware import Evse, Evses, one_evse

router = APIRouter(prefix="/v1/stations", tags=["stations"])


class StationIdTaken(Problem):
    status = 409
    title = "Station id already in use"


class EvseCodeTaken(Problem):
    status = 409
    title = "EVSE code already in use"


class LocationUnknown(Problem):
    status = 422
    title = "No such location"


class StationIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: StationId
    name: Line
    location_id: UUID | None = None
    vendor: Line | None = None
    model: Line | None = None
    active: bool = Field(default=True, description="False: decommissioned, may not connect")
    evses: Evses = Field(default_factory=one_evse)


class StationPatch(BaseModel):
    """What is not sent stays; evses are replaced as a whole."""

    model_config = ConfigDict(extra="forbid")

    name: Line = unchanged()
    location_id: UUID | None = unchanged()
    vendor: Line | None = unchanged()
    model: Line | None = unchanged()
    active: bool = unchanged()
    evses: Evses = unchanged()


class StationOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    operator_id: UUID
    version: int
    name: str
    location_id: UUID | None
    vendor: str | None
    model: str | None
    active: bool
    evses: list[Evse]


class PasswordOut(BaseModel):
    ocpp_url: str = Field(examples=["ws://127.0.0.1:9000/ocpp/P20-01"])
    password: str = Field(description="for the charger's HTTP basic authentication; shown once")


class StationCreated(StationOut, PasswordOut):
    pass


def _changed(row: tables.Station) -> events.StationChanged:
    return events.StationChanged(
        operator_id=row.operator_id,
        station_id=row.id,
        version=row.version,
        name=row.name,
        location_id=row.location_id,
        active=row.active,
        evses=tuple(
            events.Evse(
                evse_id=evse.evse_id,
                code=evse.code,
                max_power_w=evse.max_power_w,
                connectors=len(evse.connectors),
            )
            for evse in row.evses
        ),
    )


def _credential(row: tables.Station, *, hand_over: bool = False) -> events.StationCredentialSet:
    return events.StationCredentialSet(
        operator_id=row.operator_id,
        station_id=row.id,
        version=row.credential_version,
        password_hash=row.password_hash,
        hand_over=hand_over,
    )


async def find(db: AsyncSession, station_id: str, *, lock: bool = False) -> tables.Station:
    """Raises NotFound, for another operator's too."""
    # key_share: a change must not hold up the statuses that refer to the station meanwhile.
    with_lock = {"key_share": True} if lock else None
    options: Any = {"with_for_update": with_lock, "populate_existing": True}
    row = await db.get(tables.Station, station_id, **options)
    if row is None:
        raise NotFound("there is no such station")
    return row


async def _require_location(db: AsyncSession, operator_id: UUID, location_id: UUID | None) -> None:
    """The operator is compared here as well: a platform admin sees every operator's places."""
    if location_id is None:
        return
    known = select(tables.Location.id).filter_by(operator_id=operator_id, id=location_id)
    if await db.scalar(known) is None:
        raise LocationUnknown("there is no such location", location_id=str(location_id))


async def _put_evses(
    db: AsyncSession, operator_id: UUID, station_id: str, evses: list[Evse]
) -> None:
    """Replace a station's EVSEs and connectors. Raises EvseCodeTaken."""
    station = {"operator_id": operator_id, "station_id": station_id}
    await db.execute(delete(tables.Evse).filter_by(**station))
    rows = [{**station, **evse.model_dump(exclude={"connectors"})} for evse in evses]
    new = insert(tables.Evse).values(rows).on_conflict_do_nothing()
    made = set((await db.scalars(new.returning(tables.Evse.evse_id))).all())
    if taken := [evse.code for evse in evses if evse.evse_id not in made]:
        raise EvseCodeTaken("an EVSE code belongs to another EVSE", codes=taken)
    connectors = [
        {**station, "evse_id": evse.evse_id, **connector.model_dump()}
        for evse in evses
        for connector in evse.connectors
    ]
    await db.execute(insert(tables.Connector), connectors)


def _handover(request: Request, response: Response, station_id: str, password: str) -> PasswordOut:
    response.headers["Cache-Control"] = "no-store"
    public_url = request.app.state.parts.settings.ocpp_public_url.rstrip("/")
    return PasswordOut(ocpp_url=f"{public_url}/{quote(station_id, safe='')}", password=password)


@router.get("", summary="List stations", dependencies=[scoped("stations:read")])
async def list_stations(
    db: Db,
    location_id: UUID | None = None,
    active: bool | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[StationOut]:
    query = select(tables.Station)
    if location_id is not None:
        query = query.where(tables.Station.location_id == location_id)
    if active is not None:
        query = query.where(tables.Station.active == active)
    found, next_cursor = await paging.rows(db, query, tables.Station.id, limit=limit, cursor=cursor)
    items = [StationOut.model_validate(row) for row in found]
    return Page(items=items, next_cursor=next_cursor)


@router.get("/{station_id}", summary="Read a station", dependencies=[scoped("stations:read")])
async def read_station(station_id: StationId, db: Db, response: Response) -> StationOut:
    row = await find(db, station_id)
    tag(response, row.version)
    return StationOut.model_validate(row)


@router.post(
    "",
    summary="Make a station; answers its password once",
    status_code=201,
    dependencies=[scoped("stations:write")],
)
async def create_station(
    body: StationIn, db: Db, caller: Caller, request: Request, response: Response
) -> StationCreated:
    return await make(db, caller.tenant(), body, request, response)


async def make(
    db: AsyncSession,
    operator_id: UUID,
    body: StationIn,
    request: Request,
    response: Response,
    *,
    hand_over: bool = False,
) -> StationCreated:
    """hand_over: it waits on a connection.

    Raises LocationUnknown, StationIdTaken or EvseCodeTaken.
    """
    await _require_location(db, operator_id, body.location_id)
    password = credentials.new_secret()
    row = await add(db, operator_id, body, password)
    if row is None:
        # The same words whoever has it: ids of other operators are nobody's business.
        raise StationIdTaken(f"the station id {body.id} is taken")
    await outbox.emit(db, _credential(row, hand_over=hand_over))
    tag(response, row.version)
    handover = _handover(request, response, row.id, password)
    shown = StationOut.model_validate(row)
    return StationCreated(**shown.model_dump(), **handover.model_dump())


async def add(
    db: AsyncSession, operator_id: UUID, body: StationIn, password: str
) -> tables.Station | None:
    """Store a station and tell of it, but not of its password; None if its id is taken."""
    new = insert(tables.Station).values(
        **body.model_dump(exclude={"evses"}),
        operator_id=operator_id,
        version=1,
        credential_version=1,
        password_hash=credentials.fast_hash(password),
    )
    made = new.on_conflict_do_nothing(index_elements=["id"]).returning(tables.Station.id)
    if await db.scalar(made) is None:
        return None
    await _put_evses(db, operator_id, body.id, body.evses)
    row = await find(db, body.id)
    await outbox.emit(db, _changed(row))
    return row


@router.patch("/{station_id}", summary="Change a station", dependencies=[scoped("stations:write")])
async def change_station(
    station_id: StationId,
    body: StationPatch,
    db: Db,
    response: Response,
    expected: Expected,
) -> StationOut:
    row = await find(db, station_id, lock=True)
    require(expected, row.version)
    was = StationOut.model_validate(row)
    wanted = was.model_copy(update={name: getattr(body, name) for name in body.model_fields_set})
    if wanted != was:
        await _require_location(db, row.operator_id, wanted.location_id)
        for name in body.model_fields_set - {"evses"}:
            setattr(row, name, getattr(wanted, name))
        row.version += 1
        await db.flush()
        if wanted.evses != was.evses:
            await _put_evses(db, row.operator_id, row.id, wanted.evses)
            row = await find(db, station_id)
        await outbox.emit(db, _changed(row))
    tag(response, row.version)
    return StationOut.model_validate(row)


@router.post(
    "/{station_id}/password",
    summary="Give a station a new password; answers it once",
    dependencies=[scoped("stations:write")],
)
async def set_password(
    station_id: StationId, db: Db, request: Request, response: Response
) -> PasswordOut:
    row = await find(db, station_id, lock=True)
    password = credentials.new_secret()
    row.password_hash = credentials.fast_hash(password)
    row.credential_version += 1
    await db.flush()
    await outbox.emit(db, _credential(row))
    return _handover(request, response, row.id, password)
