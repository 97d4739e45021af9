"""Uptime and availability a month, of a station or of many.

Reckoned of the facts whenever it is asked for (`uptime.py`): what comes late is in it, and a
month that is over stays as it is.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import Select, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common import clock, exports, paging
from common.auth import Caller, Principal, scoped
from common.database import Db
from common.exports import Format, Separator
from common.paging import Cursor, Limit, Page
from registry.fields import StationId
from registry.groups.group_members import members
from registry.hardware import stations
from registry.live import uptime
from registry.live.liveness import alive_after
from registry.live.uptime import Downtime, Fact, Reason, Socket, Span
from registry.tables import Location, Station

router = APIRouter(prefix="/v1", tags=["status"])

TIME_ZONE: Final = "Europe/Berlin"  # of a station that stands at no location
DOWNTIMES_MAX: Final = 1000  # one that flaps all month has more; the sums count them all
EXPORT_PAGE: Final = 100


def _this_month() -> str:
    return f"{clock.now().astimezone(ZoneInfo(TIME_ZONE)):%Y-%m}"


Month = Annotated[
    str,
    Query(
        default_factory=_this_month,
        pattern=r"^2[01]\d\d-(0[1-9]|1[0-2])$",
        description="by the clock of the station's location; default: the current one",
        examples=["2026-10"],
    ),
]
reads = scoped("status:read")

_SINCE: Final = text("""
select c.station_id, min(c.opened_at) as since
from unnest(cast(:operators as uuid[]), cast(:stations as text[])) as of_these (operator_id, id)
join station_connection c on c.operator_id = of_these.operator_id and c.station_id = of_these.id
group by c.station_id
""")
# Of a gateway that does not beat any more, a socket ended at the last beat.
_SOCKETS: Final = text("""
select * from (
    select c.station_id, c.generation, c.opened_at, least(
        c.closed_at,
        min(c.opened_at) over (
            partition by c.operator_id, c.station_id order by c.generation
            rows between 1 following and unbounded following
        ),
        case when c.closed_at is not null then null
            when r.replica is null then c.opened_at
            when r.last_beat_at <= :alive_after then greatest(c.opened_at, r.last_beat_at)
        end
    ) as ended_at
    from unnest(cast(:operators as uuid[]), cast(:stations as text[])) as of_these (operator_id, id)
    join station_connection c on c.operator_id = of_these.operator_id and c.station_id = of_these.id
    left join gateway_replica r on r.replica = c.replica
) as told
where opened_at < :until and (ended_at is null or ended_at > :since)
""")
_FACTS: Final = text("""
with of_these as (
    select h.*
    from unnest(cast(:operators as uuid[]), cast(:stations as text[])) as of_these (operator_id, id)
    join connector_standing h on h.operator_id = of_these.operator_id and h.station_id = of_these.id
    where h.slot_at < :until
)
select * from of_these where slot_at >= :since
union all
select * from (
    select distinct on (operator_id, station_id, evse_id, connector_id) * from of_these
    where slot_at < :since
    order by operator_id, station_id, evse_id, connector_id, slot_at desc
) as before
""")


class ConnectorUptimeOut(BaseModel):
    """Seconds of counted_s; the four make it up."""

    evse_id: int
    connector_id: int
    available_s: int = Field(description="online and neither faulted nor unavailable; in use too")
    offline_s: int
    faulted_s: int
    unavailable_s: int = Field(description="switched off by somebody: planned")
    availability: float | None = Field(description="available_s of counted_s; null: nothing counts")


class UptimeOut(BaseModel):
    station_id: str
    operator_id: UUID
    name: str
    location_id: UUID | None
    month: str
    time_zone: str
    begin: datetime = Field(description="of what counts: the month's, or when it first connected")
    end: datetime = Field(
        description="of what counts: the month's, now, or when it was decommissioned"
    )
    counted_s: int
    online_s: int
    uptime: float | None = Field(description="online_s of counted_s; null: nothing counts")
    connectors: list[ConnectorUptimeOut]


class DowntimeOut(BaseModel):
    """Of one connector, or while the station is offline of all."""

    evse_id: int | None
    connector_id: int | None
    reason: Reason
    error_code: str | None = None
    vendor_error_code: str | None = None
    begin: datetime
    end: datetime


class StationUptimeOut(UptimeOut):
    downtimes: list[DowntimeOut] = Field(description="the first of the month, a thousand at most")
    downtimes_left_out: int


Place = tuple[int, int]  # EVSE and connector


@dataclass
class _Told:
    """What is known of a station in a month."""

    since: datetime | None = None
    sockets: list[Socket] = field(default_factory=list)
    facts: dict[Place, list[Fact]] = field(default_factory=lambda: defaultdict(list))


async def _told(db: AsyncSession, found: Sequence[Station], around: Span) -> dict[str, _Told]:
    """Three statements a page, however many stations are on it."""
    told = {station.id: _Told() for station in found}
    values = {
        "operators": [station.operator_id for station in found],
        "stations": [station.id for station in found],
    }
    between = values | {"since": around.begin, "until": around.end}
    for row in await db.execute(_SINCE, values):
        told[row.station_id].since = row.since
    alive = {"alive_after": alive_after(clock.now())}
    for row in await db.execute(_SOCKETS, between | alive):
        socket = Socket(row.generation, row.opened_at, row.ended_at)
        told[row.station_id].sockets.append(socket)
    for row in await db.execute(_FACTS, between):
        fact = Fact(row.at, row.standing, row.error_code, row.vendor_error_code)
        told[row.station_id].facts[row.evse_id, row.connector_id].append(fact)
    return told


def _seconds(length: timedelta) -> int:
    return round(length.total_seconds())


def _share(part: timedelta, whole: timedelta) -> float | None:
    return round(part / whole, 6) if whole else None


def _uptime(
    station: Station, month: str, time_zone: str, told: _Told
) -> tuple[UptimeOut, list[DowntimeOut]]:
    over = min(clock.now(), station.decommissioned_at or clock.now())
    span = uptime.counted(uptime.month_of(month, time_zone), told.since, over)
    online = uptime.online(told.sockets, span)
    places = {(evse.evse_id, one.connector_id) for evse in station.evses for one in evse.connectors}
    places |= {(evse_id, number) for evse_id, number in told.facts if evse_id and number}
    connectors = []
    listed = [
        DowntimeOut(evse_id=None, connector_id=None, reason="offline", begin=one.begin, end=one.end)
        for one in uptime.downtimes(online, [], span)
    ]
    for evse_id, number in sorted(places):
        of_it = [told.facts.get(at, []) for at in ((evse_id, number), (evse_id, 0), (0, 0))]
        down = uptime.downtimes(online, of_it, span)
        connectors.append(_connector(evse_id, number, down, span))
        listed += [
            DowntimeOut(
                evse_id=evse_id, connector_id=number, reason=one.reason, begin=one.begin,
                end=one.end, error_code=one.error_code, vendor_error_code=one.vendor_error_code,
            )
            for one in down
            if one.reason != "offline"
        ]  # fmt: skip
    shown = UptimeOut(
        station_id=station.id, operator_id=station.operator_id, name=station.name,
        location_id=station.location_id, month=month, time_zone=time_zone,
        begin=span.begin, end=span.end, counted_s=_seconds(span.length),
        online_s=_seconds(uptime.lasted(online)), uptime=_share(uptime.lasted(online), span.length),
        connectors=connectors,
    )  # fmt: skip
    return shown, sorted(
        listed, key=lambda one: (one.begin, one.evse_id or 0, one.connector_id or 0)
    )


def _connector(
    evse_id: int, number: int, down: Sequence[Downtime], span: Span
) -> ConnectorUptimeOut:
    lost = {
        reason: uptime.lasted(one for one in down if one.reason == reason)
        for reason in uptime.REASONS
    }
    available = span.length - uptime.lasted(down)
    return ConnectorUptimeOut(
        evse_id=evse_id,
        connector_id=number,
        available_s=_seconds(available),
        offline_s=_seconds(lost["offline"]),
        faulted_s=_seconds(lost["faulted"]),
        unavailable_s=_seconds(lost["unavailable"]),
        availability=_share(available, span.length),
    )


async def _uptimes(
    db: AsyncSession, found: Sequence[Station], month: str
) -> list[tuple[UptimeOut, list[DowntimeOut]]]:
    if not found:
        return []
    wanted = {station.location_id for station in found}
    query = select(Location.id, Location.time_zone).where(Location.id.in_(wanted - {None}))
    zones: dict[UUID | None, str] = {row.id: row.time_zone for row in await db.execute(query)}
    months = [uptime.month_of(month, zone) for zone in {TIME_ZONE, *zones.values()}]
    around = Span(min(one.begin for one in months), max(one.end for one in months))
    told = await _told(db, found, around)
    return [
        _uptime(one, month, zones.get(one.location_id, TIME_ZONE), told[one.id]) for one in found
    ]


@router.get(
    "/stations/{station_id}/uptime",
    summary="Read a station's uptime in a month",
    dependencies=[reads],
)
async def read_uptime(station_id: StationId, month: Month, db: Db) -> StationUptimeOut:
    [(shown, down)] = await _uptimes(db, [await stations.find(db, station_id)], month)
    return StationUptimeOut(
        **shown.model_dump(),
        downtimes=down[:DOWNTIMES_MAX],
        downtimes_left_out=max(0, len(down) - DOWNTIMES_MAX),
    )


def _chosen(location_id: UUID | None, group_id: UUID | None) -> Select[Any]:
    query = select(Station)
    if location_id is not None:
        query = query.where(Station.location_id == location_id)
    if group_id is not None:
        query = query.where(Station.id.in_(members(group_id)))
    return query


InGroup = Annotated[UUID | None, Query(description="stations of this group, and of those in it")]


@router.get("/uptimes", summary="List stations' uptime in a month", dependencies=[reads])
async def list_uptimes(
    month: Month,
    db: Db,
    location_id: UUID | None = None,
    group_id: InGroup = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[UptimeOut]:
    query = _chosen(location_id, group_id)
    found, next_cursor = await paging.rows(db, query, Station.id, limit=limit, cursor=cursor)
    shown = await _uptimes(db, found, month)
    return Page(items=[one for one, _ in shown], next_cursor=next_cursor)


HEADER: Final = (
    "station_id", "name", "location_id", "month", "begin", "end", "counted_s", "online_s", "uptime",
    "evse_id", "connector_id", "available_s", "offline_s", "faulted_s", "unavailable_s",
    "availability",
)  # fmt: skip


@router.get(
    "/uptimes/export",
    summary="The uptime of connectors in a month as a file",
    response_class=StreamingResponse,
    responses=exports.RESPONSES,
    dependencies=[reads],
)
async def export_uptimes(
    request: Request,
    caller: Caller,
    month: Month,
    location_id: UUID | None = None,
    group_id: InGroup = None,
    format: Format = "csv",  # noqa: A002 - as the parameter is called
    separator: Separator = ";",
) -> StreamingResponse:
    """A row a connector. In a spreadsheet 1,048,575 rows at most."""
    batches = _rows(request, caller, _chosen(location_id, group_id), month)
    return await exports.written(
        HEADER, batches, name=f"uptimes-{month}", format=format, separator=separator
    )


async def _rows(
    request: Request, caller: Principal, query: Select[Any], month: str
) -> AsyncIterator[Sequence[Sequence[object]]]:
    cursor = None
    while True:
        async with request.app.state.connections.acting(caller) as db:
            found, cursor = await paging.rows(
                db, query, Station.id, limit=EXPORT_PAGE, cursor=cursor
            )
            shown = await _uptimes(db, found, month)
        yield [_row(one, connector) for one, _ in shown for connector in one.connectors]
        if cursor is None:
            return


def _row(shown: UptimeOut, connector: ConnectorUptimeOut) -> list[object]:
    values = shown.model_dump() | connector.model_dump()
    return [values[name] for name in HEADER]
