"""What registry learns from others: how its stations are doing now.

Events come in any order, so every write carries its own guard against old news. A station that
registry does not know was never made here (a station's id is known to others only through
StationChanged), so news of it is dropped and logged.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import TextClause, delete, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import inbox
from common.events import (
    BootsReported,
    ConnectionsReported,
    GatewayBeat,
    SessionEnded,
    SessionStarted,
    StationDiscovered,
    StatusesReported,
    TariffChanged,
)
from common.tariffs import keep_tariff
from registry import pending_stations
from registry.fields import CONNECTOR_ID_MAX, EVSE_ID_MAX
from registry.liveness import News, newest_by_station, news, plausible
from registry.tables import GatewayReplica

log = logging.getLogger(__name__)

REPLICA_KEEP = timedelta(days=90)  # a gateway that restarts has a new id; the old tells last_seen

TEXT_MAX = 500  # a charger's own words; OCPP allows 50 to 255

Rows = Sequence[Sequence[object]]


class Upsert:
    """News of many stations in one statement: what is newer is stored, strangers are counted.

    One array a column, so that text and plan are the same for every number of rows; made once,
    since to put a statement together costs more than to send it. In the order of the keys, so
    that replicas that write the same rows cannot wait for each other in a circle.
    """

    def __init__(
        self, table: str, columns: dict[str, str], keys: int, changes: str, news: str
    ) -> None:
        """columns: with their types, keys first; changes and news: of the row and of excluded."""
        self._columns = list(columns)
        names, key = ", ".join(columns), ", ".join(self._columns[:keys])
        arrays = ", ".join(f"cast(:{name} as {kind}[])" for name, kind in columns.items())
        at_home = "station.operator_id = told.operator_id and station.id = told.station_id"
        self._statement: TextClause = text(
            f"with told as (select * from unnest({arrays}) as told ({names})), "  # noqa: S608
            f"written as (insert into {table} as was ({names}) "
            f"select told.* from told join station on {at_home} order by {key} "
            f"on conflict ({key}) do update set {changes} where {news}) "
            f"select count(*) from told where not exists (select from station where {at_home})"
        )

    async def __call__(self, db: AsyncSession, rows: Rows) -> None:
        if not rows:
            return
        columns = zip(*rows, strict=True)
        values = {name: list(found) for name, found in zip(self._columns, columns, strict=True)}
        if strangers := await db.scalar(self._statement, values):
            log.warning("%d reports of unknown stations are dropped", strangers)


def _as_told(columns: Iterable[str]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in columns)


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


STATION: Final = {"operator_id": "uuid", "station_id": "text"}
CONNECTION: Final = {
    "generation": "bigint", "replica": "uuid", "connected": "boolean", "protocol": "text",
    "connection_since_at": "timestamptz",
}  # fmt: skip
# A connection opens once and closes once, so within a generation closed is the later word.
upsert_connections = Upsert(
    "station_live", STATION | CONNECTION, len(STATION), _as_told(CONNECTION),
    "was.generation is null or was.generation < excluded.generation or "
    "was.generation = excluded.generation and was.connected and not excluded.connected",
)  # fmt: skip


async def note_connections(db: AsyncSession, event: ConnectionsReported) -> None:
    newest = newest_by_station(event.reports, lambda one: (one.generation, not one.connected))
    rows = [
        (
            one.operator_id, one.station_id,
            one.generation, one.replica, one.connected, _stored(one.protocol), one.at,
        )
        for one in newest
    ]  # fmt: skip
    await upsert_connections(db, rows)


BOOT: Final = {
    "boot_generation": "bigint", "booted_at": "timestamptz", "vendor": "text", "model": "text",
    "serial_number": "text", "firmware_version": "text",
}  # fmt: skip
upsert_boots = Upsert(
    "station_live", STATION | BOOT, len(STATION), _as_told(BOOT),
    "was.boot_generation is null or "
    "(was.boot_generation, was.booted_at) < (excluded.boot_generation, excluded.booted_at)",
)  # fmt: skip


async def note_boots(db: AsyncSession, event: BootsReported) -> None:
    newest = newest_by_station(event.reports, lambda one: (one.generation, one.at))
    rows = [
        (
            one.operator_id, one.station_id, one.generation, one.at,
            _stored(one.vendor), _stored(one.model),
            _stored(one.serial_number), _stored(one.firmware_version),
        )
        for one in newest
    ]  # fmt: skip
    await upsert_boots(db, rows)


CONNECTOR: Final = STATION | {"evse_id": "integer", "connector_id": "integer"}
STATUS: Final = {
    "generation": "bigint", "status": "text", "previous_status": "text", "since_at": "timestamptz",
    "error_code": "text", "vendor_error_code": "text", "info": "text",
    "reported_at": "timestamptz", "received_at": "timestamptz",
}  # fmt: skip
_BEFORE: Final = "coalesce(excluded.previous_status, was.status)"
_TURNED: Final = f"{_BEFORE} <> excluded.status"
upsert_statuses = Upsert(
    "connector_live", CONNECTOR | STATUS, len(CONNECTOR),
    _as_told(name for name in STATUS if name not in {"since_at", "previous_status"})
    + f", since_at = case when {_TURNED} then excluded.since_at else was.since_at end"
    f", previous_status = case when {_TURNED} then {_BEFORE} else was.previous_status end",
    "(was.generation, was.received_at) <= (excluded.generation, excluded.received_at)",
)  # fmt: skip


async def note_statuses(db: AsyncSession, event: StatusesReported) -> None:
    reports = [report for report in event.reports if plausible(report)]
    if dropped := len(event.reports) - len(reports):
        log.warning("%d status reports of connectors that cannot be are dropped", dropped)
    await upsert_statuses(db, _status_rows(news(reports)))


def _status_rows(batch: Iterable[News]) -> list[tuple[object, ...]]:
    """In the order of CONNECTOR and STATUS."""
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


EVSE: Final = STATION | {"evse_id": "integer"}
SESSION: Final = {
    "connector_id": "integer", "session_id": "uuid", "started_at": "timestamptz",
    "ended_at": "timestamptz",
}  # fmt: skip
# Of one session the end is the last word, whatever order they come in.
upsert_sessions = Upsert(
    "evse_session", EVSE | SESSION, len(EVSE), _as_told(SESSION),
    "case when was.session_id = excluded.session_id then excluded.ended_at is not null "
    "else (was.started_at, was.session_id) < (excluded.started_at, excluded.session_id) end",
)  # fmt: skip


async def note_session(db: AsyncSession, event: SessionStarted | SessionEnded) -> None:
    if not (0 <= event.evse_id <= EVSE_ID_MAX and 0 <= event.connector_id <= CONNECTOR_ID_MAX):
        log.warning("session %s is at no connector that can be", event.session_id)
        return
    ended_at = event.ended_at if isinstance(event, SessionEnded) else None
    row = (
        event.operator_id, event.station_id, event.evse_id,
        event.connector_id, event.session_id, event.started_at, ended_at,
    )  # fmt: skip
    await upsert_sessions(db, [row])


HANDLERS: inbox.Handlers = {
    GatewayBeat: note_beat,
    ConnectionsReported: note_connections,
    BootsReported: note_boots,
    StationDiscovered: pending_stations.note_discovery,
    StatusesReported: note_statuses,
    SessionStarted: note_session,
    SessionEnded: note_session,
    TariffChanged: keep_tariff,
}
