"""What registry learns from others: how its stations are doing now.

Events come in any order, so every write carries its own guard against old news. A station that
registry does not know was never made here (a station's id is known to others only through
StationChanged), so news of it is dropped and logged.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Integer,
    Text,
    Uuid,
    and_,
    any_,
    case,
    column,
    delete,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine

from common import inbox
from common.events import (
    BootReport,
    BootsReported,
    ConnectionReport,
    ConnectionsReported,
    GatewayBeat,
    SessionEnded,
    SessionStarted,
    StationDiscovered,
    StatusesReported,
    StatusReport,
)
from registry import pending_stations
from registry.fields import CONNECTOR_ID_MAX, EVSE_ID_MAX
from registry.liveness import News, newest_by_station, news, plausible
from registry.tables import ConnectorLive, EvseSession, GatewayReplica, Station, StationLive

log = logging.getLogger(__name__)

REPLICA_KEEP = timedelta(days=90)  # a gateway that restarts has a new id; the old tells last_seen
R = TypeVar("R", BootReport, ConnectionReport, StatusReport)

TEXT_MAX = 500  # a charger's own words; OCPP allows 50 to 255


async def _operator_of(db: AsyncSession, station_id: str) -> UUID | None:
    """None, and a line in the log, if the event's operator has no such station."""
    operator_id = await db.scalar(select(Station.operator_id).where(Station.id == station_id))
    if operator_id is None:
        log.warning("news of an unknown station %r is dropped", station_id)
    return operator_id


def _stored(words: str | None) -> str | None:
    """Postgres cannot store NUL, and some chargers pad with it."""
    return words.replace("\0", "")[:TEXT_MAX] if words is not None else None


async def note_beat(db: AsyncSession, event: GatewayBeat) -> None:
    new = insert(GatewayReplica).values(replica=event.replica, last_beat_at=event.occurred_at)
    newest = func.greatest(GatewayReplica.last_beat_at, new.excluded.last_beat_at)
    await db.execute(
        new.on_conflict_do_update(index_elements=["replica"], set_={"last_beat_at": newest})
    )
    gone = GatewayReplica.last_beat_at < event.occurred_at - REPLICA_KEEP
    await db.execute(delete(GatewayReplica).where(gone))


CONNECTION_COLUMNS: dict[str, TypeEngine[Any]] = {
    "operator_id": Uuid(),
    "station_id": Text(),
    "generation": BigInteger(),
    "replica": Uuid(),
    "connected": Boolean(),
    "protocol": Text(),
    "connection_since_at": DateTime(timezone=True),
}


async def note_connections(db: AsyncSession, event: ConnectionsReported) -> None:
    # A connection opens once and closes once, so within a generation closed is the later word.
    newest = newest_by_station(event.reports, lambda one: (one.generation, not one.connected))
    rows = [
        (
            one.operator_id,
            one.station_id,
            one.generation,
            one.replica,
            one.connected,
            _stored(one.protocol),
            one.at,
        )
        for one in await _known(db, newest)
    ]
    if not rows:
        return
    new = _insert(StationLive, CONNECTION_COLUMNS, rows)
    is_news = or_(
        StationLive.generation.is_(None),
        StationLive.generation < new.excluded.generation,
        and_(
            StationLive.generation == new.excluded.generation,
            StationLive.connected.is_(True),
            ~new.excluded.connected,
        ),
    )
    await _upsert(db, new, CONNECTION_COLUMNS, is_news)


BOOT_COLUMNS: dict[str, TypeEngine[Any]] = {
    "operator_id": Uuid(),
    "station_id": Text(),
    "boot_generation": BigInteger(),
    "booted_at": DateTime(timezone=True),
    "vendor": Text(),
    "model": Text(),
    "serial_number": Text(),
    "firmware_version": Text(),
}


async def note_boots(db: AsyncSession, event: BootsReported) -> None:
    newest = newest_by_station(event.reports, lambda one: (one.generation, one.at))
    rows = [
        (
            one.operator_id,
            one.station_id,
            one.generation,
            one.at,
            _stored(one.vendor),
            _stored(one.model),
            _stored(one.serial_number),
            _stored(one.firmware_version),
        )
        for one in await _known(db, newest)
    ]
    if not rows:
        return
    new = _insert(StationLive, BOOT_COLUMNS, rows)
    known = tuple_(StationLive.boot_generation, StationLive.booted_at)
    told = tuple_(new.excluded.boot_generation, new.excluded.booted_at)
    is_news = or_(StationLive.boot_generation.is_(None), known < told)
    await _upsert(db, new, BOOT_COLUMNS, is_news)


async def _known(db: AsyncSession, reports: list[R]) -> list[R]:
    """Those of stations that their operator has; the others are counted in the log."""
    stations = literal(list({report.station_id for report in reports}), ARRAY(Text))
    query = select(Station.operator_id, Station.id).where(Station.id == any_(stations))
    known = {(operator_id, station_id) for operator_id, station_id in await db.execute(query)}
    kept = [report for report in reports if (report.operator_id, report.station_id) in known]
    if dropped := len(reports) - len(kept):
        log.warning("%d reports of unknown stations are dropped", dropped)
    return kept


def _insert(table: Any, columns: dict[str, TypeEngine[Any]], rows: list[Any]) -> Insert:
    """One statement with one array a column, so its text and plan are the same for every size."""
    arrays: list[ColumnElement[Any]] = [
        literal(list(values), ARRAY(kind))
        for kind, values in zip(columns.values(), zip(*rows, strict=True), strict=True)
    ]
    told = (
        func.unnest(*arrays)
        .table_valued(*(column(name, kind) for name, kind in columns.items()))
        .render_derived(name="told")
    )
    return insert(table).from_select(list(columns), select(told))


async def _upsert(
    db: AsyncSession, new: Insert, columns: dict[str, TypeEngine[Any]], is_news: Any
) -> None:
    keys = ["operator_id", "station_id"]
    values = {name: new.excluded[name] for name in columns if name not in keys}
    await db.execute(new.on_conflict_do_update(index_elements=keys, set_=values, where=is_news))


async def note_statuses(db: AsyncSession, event: StatusesReported) -> None:
    reports = [report for report in event.reports if plausible(report)]
    if dropped := len(event.reports) - len(reports):
        log.warning("%d status reports of connectors that cannot be are dropped", dropped)
    if kept := await _known(db, reports):
        await _write_statuses(db, news(kept))


STATUS_COLUMNS: dict[str, TypeEngine[Any]] = {
    "operator_id": Uuid(),
    "station_id": Text(),
    "evse_id": Integer(),
    "connector_id": Integer(),
    "generation": BigInteger(),
    "status": Text(),
    "previous_status": Text(),
    "since_at": DateTime(timezone=True),
    "error_code": Text(),
    "vendor_error_code": Text(),
    "info": Text(),
    "reported_at": DateTime(timezone=True),
    "received_at": DateTime(timezone=True),
}


def _status_rows(batch: Iterable[News]) -> list[tuple[object, ...]]:
    """In the order of STATUS_COLUMNS."""
    return [
        (
            told.report.operator_id,
            told.report.station_id,
            told.report.evse_id,
            told.report.connector_id,
            told.report.generation,
            told.report.status,
            told.previous_status,
            told.since_at,
            _stored(told.report.error_code),
            _stored(told.report.vendor_error_code),
            _stored(told.report.info),
            told.report.reported_at,
            told.report.received_at,
        )
        for told in batch
    ]


async def _write_statuses(db: AsyncSession, batch: list[News]) -> None:
    new = _insert(ConnectorLive, STATUS_COLUMNS, _status_rows(batch))
    was, now = ConnectorLive, new.excluded
    before = func.coalesce(now.previous_status, was.status)
    turned = before != now.status
    changes = {name: now[name] for name in list(STATUS_COLUMNS)[4:]} | {
        "since_at": case((turned, now.since_at), else_=was.since_at),
        "previous_status": case((turned, before), else_=was.previous_status),
    }
    is_news = tuple_(was.generation, was.received_at) <= tuple_(now.generation, now.received_at)
    await db.execute(
        new.on_conflict_do_update(
            index_elements=list(STATUS_COLUMNS)[:4], set_=changes, where=is_news
        )
    )


async def note_session(db: AsyncSession, event: SessionStarted | SessionEnded) -> None:
    if not (0 <= event.evse_id <= EVSE_ID_MAX and 0 <= event.connector_id <= CONNECTOR_ID_MAX):
        log.warning("session %s is at no connector that can be", event.session_id)
        return
    operator_id = await _operator_of(db, event.station_id)
    if operator_id is None:
        return
    ended = isinstance(event, SessionEnded)
    values = {
        "connector_id": event.connector_id,
        "session_id": event.session_id,
        "started_at": event.started_at,
        "ended_at": event.ended_at if isinstance(event, SessionEnded) else None,
    }
    new = insert(EvseSession).values(
        operator_id=operator_id, station_id=event.station_id, evse_id=event.evse_id, **values
    )
    same = EvseSession.session_id == new.excluded.session_id
    known = tuple_(EvseSession.started_at, EvseSession.session_id)
    later = known < tuple_(new.excluded.started_at, new.excluded.session_id)
    # Of one session the end is the last word, whatever order they come in.
    is_news = or_(same, later) if ended else and_(~same, later)
    await db.execute(
        new.on_conflict_do_update(
            index_elements=["operator_id", "station_id", "evse_id"], set_=values, where=is_news
        )
    )


HANDLERS: inbox.Handlers = {
    GatewayBeat: note_beat,
    ConnectionsReported: note_connections,
    BootsReported: note_boots,
    StationDiscovered: pending_stations.note_discovery,
    StatusesReported: note_statuses,
    SessionStarted: note_session,
    SessionEnded: note_session,
}
