"""How stations are doing now: connection, boot, connectors, sessions that run and their power."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ARRAY, Select, Text, Uuid, and_, bindparam, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from common import clock, paging
from common.auth import scoped
from common.database import Db
from common.events import ConnectorStatus
from common.paging import Cursor, Limit, Page
from registry.fields import StationId
from registry.groups.group_members import members
from registry.hardware import stations
from registry.live.liveness import Connection, alive_after, standing
from registry.tables import (
    ConnectorLive,
    EvseMeter,
    EvseSession,
    GatewayReplica,
    Station,
    StationLive,
)

router = APIRouter(prefix="/v1", tags=["status"])


class ConnectorStatusOut(BaseModel):
    """All but the id is null as long as the connector was never reported."""

    model_config = ConfigDict(from_attributes=True)

    connector_id: int
    status: ConnectorStatus | None = None
    error_code: str | None = None
    vendor_error_code: str | None = None
    info: str | None = None
    since: datetime | None = Field(
        default=None, validation_alias="since_at", description="when the status last changed"
    )
    reported_at: datetime | None = Field(default=None, description="the charger's own time")
    received_at: datetime | None = None


class RunningSessionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    session_id: UUID
    connector_id: int
    started_at: datetime
    energy_wh: int | None = Field(default=None, description="so far; null: not known")
    power_w: int | None = Field(
        default=None, description="as the charger said, else by its register; null: not known"
    )
    metered_at: datetime | None = Field(
        default=None, description="when the charger read that, by its own time"
    )


def _running(session: EvseSession, meter: EvseMeter | None) -> RunningSessionOut:
    shown = RunningSessionOut.model_validate(session)
    if meter is None or meter.session_id != session.session_id:
        return shown
    energy_wh = None
    if meter.register_wh is not None and session.meter_start_wh is not None:
        energy_wh = meter.register_wh - session.meter_start_wh
    return shown.model_copy(
        update={
            "power_w": meter.power_w,
            "metered_at": meter.sampled_at,
            # A register that runs backwards tells nothing.
            "energy_wh": energy_wh if energy_wh is None or energy_wh >= 0 else None,
        }
    )


class EvseStatusOut(BaseModel):
    evse_id: int
    code: str | None
    session: RunningSessionOut | None
    connectors: list[ConnectorStatusOut]


class BootOut(BaseModel):
    """What the charger said of itself."""

    model_config = ConfigDict(from_attributes=True)

    vendor: str | None
    model: str | None
    serial_number: str | None
    firmware_version: str | None
    booted_at: datetime


class StationStatusOut(BaseModel):
    station_id: str
    operator_id: UUID
    name: str
    location_id: UUID | None
    active: bool
    online: bool = Field(description="False: the statuses are the last that were known")
    since: datetime | None = Field(description="online or offline since; null: never connected")
    last_seen: datetime | None
    generation: int | None = Field(description="of the connection; each new one is higher")
    protocol: str | None = Field(examples=["ocpp1.6"])
    boot: BootOut | None
    station: ConnectorStatusOut | None = Field(
        description="what the station said of itself as a whole (EVSE 0)"
    )
    evses: list[EvseStatusOut] = Field(description="the configured and the reported ones")


def _evses(
    station: Station,
    reports: Sequence[ConnectorLive],
    sessions: Iterable[tuple[EvseSession, EvseMeter | None]],
) -> list[EvseStatusOut]:
    codes = {evse.evse_id: evse.code for evse in station.evses}
    connectors: dict[int, dict[int, ConnectorStatusOut]] = {
        evse.evse_id: {
            one.connector_id: ConnectorStatusOut(connector_id=one.connector_id)
            for one in evse.connectors
        }
        for evse in station.evses
    }
    for report in reports:
        if report.evse_id:
            told = ConnectorStatusOut.model_validate(report)
            connectors.setdefault(report.evse_id, {})[report.connector_id] = told
    running = {one.evse_id: _running(one, meter) for one, meter in sessions if one.ended_at is None}
    return [
        EvseStatusOut(
            evse_id=evse_id,
            code=codes.get(evse_id),
            session=running.get(evse_id),
            connectors=[told for _, told in sorted(connectors.get(evse_id, {}).items())],
        )
        for evse_id in sorted(connectors.keys() | running.keys())
    ]


def _status(
    station: Station,
    known: tuple[StationLive, datetime | None] | None,
    reports: Sequence[ConnectorLive],
    sessions: Sequence[tuple[EvseSession, EvseMeter | None]],
    now: datetime,
) -> StationStatusOut:
    live, beat_at = known or (None, None)
    connection = None
    if live and live.connected is not None and live.connection_since_at:
        connection = Connection(live.connected, live.connection_since_at, beat_at)
    heard_at = [report.received_at for report in reports]
    now_standing = standing(connection, [*heard_at, live.booted_at if live else None], now)
    own = next((report for report in reports if report.evse_id == 0), None)
    return StationStatusOut(
        station_id=station.id,
        operator_id=station.operator_id,
        name=station.name,
        location_id=station.location_id,
        active=station.active,
        online=now_standing.online,
        since=now_standing.since_at,
        last_seen=now_standing.last_seen_at,
        generation=live.generation if live else None,
        protocol=live.protocol if live else None,
        boot=BootOut.model_validate(live) if live and live.booted_at else None,
        station=ConnectorStatusOut.model_validate(own) if own else None,
        evses=_evses(station, reports, sessions),
    )


async def of(db: AsyncSession, found: Sequence[Station]) -> list[StationStatusOut]:
    """Four statements a page, however many stations are on it."""
    if not found:
        return []
    # Arrays: a list of another length would be another statement, to be prepared anew.
    keys = (
        func.unnest(
            bindparam("operators", [one.operator_id for one in found], ARRAY(Uuid)),
            bindparam("stations", [one.id for one in found], ARRAY(Text)),
        )
        .table_valued("operator_id", "station_id")
        .render_derived()
    )

    def of_these(table: Any) -> Any:
        wanted = select(keys.c.operator_id, keys.c.station_id)
        return tuple_(table.operator_id, table.station_id).in_(wanted)

    with_beat = select(StationLive, GatewayReplica.last_beat_at).outerjoin(
        GatewayReplica, GatewayReplica.replica == StationLive.replica
    )
    live: dict[str, tuple[StationLive, datetime | None]] = {
        row.station_id: (row, beat_at)
        for row, beat_at in await db.execute(with_beat.where(of_these(StationLive)))
    }
    reports: dict[str, list[ConnectorLive]] = defaultdict(list)
    for report in await db.scalars(select(ConnectorLive).where(of_these(ConnectorLive))):
        reports[report.station_id].append(report)
    sessions: dict[str, list[tuple[EvseSession, EvseMeter | None]]] = defaultdict(list)
    same_evse = and_(
        EvseMeter.operator_id == EvseSession.operator_id,
        EvseMeter.station_id == EvseSession.station_id,
        EvseMeter.evse_id == EvseSession.evse_id,
    )
    with_meter = select(EvseSession, EvseMeter).outerjoin(EvseMeter, same_evse)
    for session, meter in await db.execute(with_meter.where(of_these(EvseSession))):
        sessions[session.station_id].append((session, meter))
    now = clock.now()
    return [_status(one, live.get(one.id), reports[one.id], sessions[one.id], now) for one in found]


def _with_status(query: Select[Any], status: ConnectorStatus) -> Select[Any]:
    """Stations with such a connector; as a whole a station counts only when out of order."""
    has_one = select(ConnectorLive.station_id).where(
        ConnectorLive.operator_id == Station.operator_id,
        ConnectorLive.station_id == Station.id,
        ConnectorLive.status == status,
    )
    if status not in {"faulted", "unavailable"}:
        has_one = has_one.where(ConnectorLive.evse_id > 0)
    return query.where(has_one.exists())


def _with_online(query: Select[Any], *, online: bool) -> Select[Any]:
    is_online = (
        select(StationLive.station_id)
        .join(GatewayReplica, GatewayReplica.replica == StationLive.replica)
        .where(
            StationLive.operator_id == Station.operator_id,
            StationLive.station_id == Station.id,
            StationLive.connected.is_(True),
            GatewayReplica.last_beat_at > alive_after(clock.now()),
        )
        .exists()
    )
    return query.where(is_online if online else ~is_online)


@router.get("/statuses", summary="List stations' statuses", dependencies=[scoped("status:read")])
async def list_statuses(
    db: Db,
    location_id: UUID | None = None,
    group_id: Annotated[
        UUID | None, Query(description="stations of this group, and of those in it")
    ] = None,
    station_id: Annotated[StationId | None, Query()] = None,
    status: Annotated[
        ConnectorStatus | None, Query(description="stations with a connector in this status")
    ] = None,
    online: bool | None = None,
    active: bool | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[StationStatusOut]:
    query = select(Station)
    if location_id is not None:
        query = query.where(Station.location_id == location_id)
    if group_id is not None:
        query = query.where(Station.id.in_(members(group_id)))
    if station_id is not None:
        query = query.where(Station.id == station_id)
    if active is not None:
        query = query.where(Station.active == active)
    if status is not None:
        query = _with_status(query, status)
    if online is not None:
        query = _with_online(query, online=online)
    found, next_cursor = await paging.rows(db, query, Station.id, limit=limit, cursor=cursor)
    return Page(items=await of(db, found), next_cursor=next_cursor)


@router.get(
    "/stations/{station_id}/status",
    summary="Read a station's status",
    dependencies=[scoped("status:read")],
)
async def read_status(station_id: StationId, db: Db) -> StationStatusOut:
    [status] = await of(db, [await stations.find(db, station_id)])
    return status
