"""Charging stations, what they are made of, and the password each connects with.

A station is never deleted, only decommissioned (`decommissioning.py`): sessions and invoices
refer to it for years.
"""

from datetime import datetime
from typing import Any, Self
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import credentials, events, outbox, paging
from common.auth import Caller, scoped
from common.database import Db
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem
from common.versions import Expected, require, tag
from registry import tables
from registry.fields import StationId
from registry.hardware import evse_rows, templates
from registry.hardware.models import Evse, Evses, Meter, one_evse

router = APIRouter(prefix="/v1/stations", tags=["stations"])


class StationIdTaken(Problem):
    status = 409
    title = "Station id already in use"


class EvseCodeTaken(Problem):
    status = 409
    title = "EVSE code already in use"


class StationDecommissioned(Problem):
    status = 409
    title = "The station is decommissioned"


class LocationUnknown(Problem):
    status = 422
    title = "No such location"


class StationIn(Body):
    id: StationId
    name: Line
    location_id: UUID | None = None
    vendor: Line | None = None
    model: Line | None = None
    active: bool = Field(default=True, description="False: may not connect")
    template_id: UUID | None = Field(
        default=None, description="of which vendor, model and EVSEs are taken"
    )
    evses: Evses = Field(default_factory=one_evse)

    @model_validator(mode="after")
    def _made_of_one(self) -> Self:
        if self.template_id is not None and "evses" in self.model_fields_set:
            raise ValueError("give evses or template_id, not both")
        return self


class StationPatch(Patch):
    """The EVSEs are replaced as a whole."""

    may_be_null = frozenset({"location_id", "vendor", "model"})

    name: Line | None = None
    location_id: UUID | None = None
    vendor: Line | None = None
    model: Line | None = None
    active: bool | None = None
    evses: Evses | None = None


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
    decommissioned_at: datetime | None = Field(description="null: it stands")
    decommission_reason: str | None
    evses: list[Evse]


class PasswordOut(BaseModel):
    ocpp_url: str = Field(examples=["ws://127.0.0.1:9000/ocpp/P20-01"])
    password: str = Field(description="for the charger's HTTP basic authentication; shown once")


class StationCreated(StationOut, PasswordOut):
    pass


def changed(station: StationOut) -> events.StationChanged:
    return events.StationChanged(
        operator_id=station.operator_id,
        station_id=station.id,
        version=station.version,
        name=station.name,
        location_id=station.location_id,
        active=station.active,
        evses=tuple(_told(evse) for evse in station.evses),
        decommissioned_at=station.decommissioned_at,
    )


def _told(evse: Evse) -> events.Evse:
    meter = evse.meter or Meter()
    return events.Evse(
        evse_id=evse.evse_id,
        code=evse.code,
        max_power_w=evse.max_power_w,
        connectors=len(evse.connectors),
        phases=evse.phases,
        meter_serial_number=meter.serial_number,
        public_key=meter.public_key,
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


async def put_evses(db: AsyncSession, operator_id: UUID, change: evse_rows.Change) -> None:
    """Raises EvseCodeTaken."""
    if taken := await evse_rows.put(db, operator_id, [change]):
        codes = [code for _, code in taken]
        raise EvseCodeTaken("an EVSE code belongs to another EVSE", codes=codes)


def ocpp_url(request: Request, station_id: str) -> str:
    """Where a station connects to."""
    public_url = request.app.state.parts.settings.ocpp_public_url.rstrip("/")
    return f"{public_url}/{quote(station_id, safe='')}"


def _handover(request: Request, response: Response, station_id: str, password: str) -> PasswordOut:
    response.headers["Cache-Control"] = "no-store"
    return PasswordOut(ocpp_url=ocpp_url(request, station_id), password=password)


@router.get("", summary="List stations", dependencies=[scoped("stations:read")])
async def list_stations(
    db: Db,
    location_id: UUID | None = None,
    active: bool | None = None,
    decommissioned: bool | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[StationOut]:
    query = select(tables.Station)
    if location_id is not None:
        query = query.where(tables.Station.location_id == location_id)
    if active is not None:
        query = query.where(tables.Station.active == active)
    if decommissioned is not None:
        stands = tables.Station.decommissioned_at.is_(None)
        query = query.where(~stands if decommissioned else stands)
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

    Raises LocationUnknown, TemplateUnknown, StationIdTaken or EvseCodeTaken.
    """
    await _require_location(db, operator_id, body.location_id)
    if body.template_id is not None:
        body = made_of(body, await templates.find(db, operator_id, body.template_id))
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


def made_of(body: StationIn, template: tables.StationTemplate) -> StationIn:
    """Raises CodePatternUnfit."""
    of_template = {
        "vendor": body.vendor or template.vendor,
        "model": body.model or template.model,
        "evses": templates.applied(template, body.id),
    }
    return body.model_copy(update=of_template)


async def add(
    db: AsyncSession, operator_id: UUID, body: StationIn, password: str
) -> tables.Station | None:
    """Store a station and tell of it, but not of its password; None if its id is taken."""
    new = insert(tables.Station).values(
        **body.model_dump(exclude={"evses", "template_id"}),
        operator_id=operator_id,
        version=1,
        credential_version=1,
        password_hash=credentials.fast_hash(password),
    )
    made = new.on_conflict_do_nothing(index_elements=["id"]).returning(tables.Station.id)
    if await db.scalar(made) is None:
        return None
    await put_evses(db, operator_id, evse_rows.Change(body.id, (), body.evses))
    row = await find(db, body.id)
    await outbox.emit(db, changed(StationOut.model_validate(row)))
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
        retired = row.decommissioned_at is not None
        if retired and wanted.active:
            raise StationDecommissioned("reactivate it first", since=str(row.decommissioned_at))
        await _require_location(db, row.operator_id, wanted.location_id)
        for name in body.model_fields_set - {"evses"}:
            setattr(row, name, getattr(wanted, name))
        change = evse_rows.Change(row.id, was.evses, wanted.evses, retired)
        row = await told(db, row, change)
    tag(response, row.version)
    return StationOut.model_validate(row)


async def told(
    db: AsyncSession, row: tables.Station, change: evse_rows.Change | None = None
) -> tables.Station:
    """Store what was changed of a station, and tell of it. Raises EvseCodeTaken."""
    row.version += 1
    await db.flush()
    if change is not None:
        await put_evses(db, row.operator_id, change)
    row = await find(db, row.id)
    await outbox.emit(db, changed(StationOut.model_validate(row)))
    return row


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
