"""What registry learns from others: how its stations are doing now.

Events come in any order, so every write carries its own guard against old news. A station that
registry does not know was never made here (a station's id is known to others only through
StationChanged), so news of it is dropped and logged.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
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
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine

from common import inbox
from common.events import (
    GatewayBeat,
    SessionEnded,
    SessionStarted,
    StationBooted,
    StationConnectionChanged,
    StationDiscovered,
    StatusesReported,
)
from registry import pending_stations
from registry.fields import CONNECTOR_ID_MAX, EVSE_ID_MAX
from registry.liveness import News, news, plausible
from registry.tables import ConnectorLive, EvseSession, GatewayReplica, Station, StationLive

log = logging.getLogger(__name__)

REPLICA_KEEP = timedelta(days=90)  # a gateway that restarts has a new id; the old tells last_seen
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


async def note_connection(db: AsyncSession, event: StationConnectionChanged) -> None:
    operator_id = await _operator_of(db, event.station_id)
    if operator_id is None:
        return
    values = {
        "generation": event.generation,
        "replica": event.replica,
        "connected": event.connected,
        "protocol": _stored(event.protocol),
        "connection_since_at": event.occurred_at,
    }
    new = insert(StationLive).values(operator_id=operator_id, station_id=event.station_id, **values)
    # A connection opens once and closes once, so within a generation closed is the later word.
    is_news = or_(
        StationLive.generation.is_(None),
        StationLive.generation < new.excluded.generation,
        and_(
            StationLive.generation == new.excluded.generation,
            StationLive.connected.is_(True),
            ~new.excluded.connected,
        ),
    )
    await db.execute(
        new.on_conflict_do_update(
            index_elements=["operator_id", "station_id"], set_=values, where=is_news
        )
    )


async def note_boot(db: AsyncSession, event: StationBooted) -> None:
    operator_id = await _operator_of(db, event.station_id)
    if operator_id is None:
        return
    values = {
        "boot_generation": event.generation,
        "booted_at": event.occurred_at,
        "vendor": _stored(event.vendor),
        "model": _stored(event.model),
        "serial_number": _stored(event.serial_number),
        "firmware_version": _stored(event.firmware_version),
    }
    new = insert(StationLive).values(operator_id=operator_id, station_id=event.station_id, **values)
    known = tuple_(StationLive.boot_generation, StationLive.booted_at)
    told = tuple_(new.excluded.boot_generation, new.excluded.booted_at)
    await db.execute(
        new.on_conflict_do_update(
            index_elements=["operator_id", "station_id"],
            set_=values,
            where=or_(StationLive.boot_generation.is_(None), known < told),
        )
    )


async def note_statuses(db: AsyncSession, event: StatusesReported) -> None:
    reports = [report for report in event.reports if plausible(report)]
    stations = literal(list({report.station_id for report in reports}), ARRAY(Text))
    query = select(Station.operator_id, Station.id).where(Station.id == any_(stations))
    known = {(operator_id, station_id) for operator_id, station_id in await db.execute(query)}
    kept = [report for report in reports if (report.operator_id, report.station_id) in known]
    if dropped := len(event.reports) - len(kept):
        log.warning("%d status reports of unknown stations or connectors are dropped", dropped)
    if kept:
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
    """One statement with one array a column, so its text and plan are the same for every size."""
    arrays: list[ColumnElement[Any]] = [
        literal(list(values), ARRAY(kind))
        for kind, values in zip(
            STATUS_COLUMNS.values(), zip(*_status_rows(batch), strict=True), strict=True
        )
    ]
    told = (
        func.unnest(*arrays)
        .table_valued(*(column(name, kind) for name, kind in STATUS_COLUMNS.items()))
        .render_derived(name="told")
    )
    new = insert(ConnectorLive).from_select(list(STATUS_COLUMNS), select(told))
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
    StationConnectionChanged: note_connection,
    StationBooted: note_boot,
    StationDiscovered: pending_stations.note_discovery,
    StatusesReported: note_statuses,
    SessionStarted: note_session,
    SessionEnded: note_session,
}
