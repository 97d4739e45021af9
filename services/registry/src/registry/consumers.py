"""What registry learns from others: how its stations are doing now.

Events come in any order, so every write carries its own guard against old news. A station that
registry does not know was never made here (a station's id is known to others only through
StationChanged), so news of it is dropped and logged.
"""

import dataclasses
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import inbox
from common.events import (
    BootsReported,
    ConnectionsReported,
    DisplayPricesChanged,
    GatewayBeat,
    IncidentOpened,
    MeterValuesReported,
    OperatorChanged,
    SessionEnded,
    SessionStarted,
    StationDiscovered,
    StatusesReported,
    TariffChanged,
)
from common.tariffs import keep_tariff
from registry import operators
from registry.alerts import failures
from registry.fields import CONNECTOR_ID_MAX, EVSE_ID_MAX
from registry.hardware import pending_stations
from registry.live import news
from registry.live.liveness import (
    News,
    newest_by_station,
    newest_of_connectors,
    plausible,
    standings,
    stored,
)
from registry.live.news import Upsert
from registry.live.power import POWER_MAX_W, readings
from registry.public_map.display_prices import keep_display_prices
from registry.tables import GatewayReplica

log = logging.getLogger(__name__)

REPLICA_KEEP = timedelta(days=90)  # a gateway that restarts has a new id; the old tells last_seen


def _as_told(columns: Iterable[str]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in columns)


async def note_beat(db: AsyncSession, event: GatewayBeat) -> None:
    new = insert(GatewayReplica).values(
        replica=event.replica, last_beat_at=event.occurred_at, silent=True
    )
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
            one.generation, one.replica, one.connected, stored(one.protocol), one.at,
        )
        for one in newest
    ]  # fmt: skip
    news.note(db, await upsert_connections(db, rows))
    await upsert_history(db, _opened_and_closed(event))


OPENED: Final = STATION | {
    "generation": "bigint", "replica": "uuid", "opened_at": "timestamptz",
    "closed_at": "timestamptz",
}  # fmt: skip
upsert_history = Upsert(
    "station_connection", OPENED, 3,
    "opened_at = least(was.opened_at, excluded.opened_at), "
    "closed_at = least(was.closed_at, excluded.closed_at)",
    "(was.opened_at, was.closed_at) is distinct from "
    "(least(was.opened_at, excluded.opened_at), least(was.closed_at, excluded.closed_at))",
)  # fmt: skip


def _opened_and_closed(event: ConnectionsReported) -> list[tuple[object, ...]]:
    """In the order of OPENED, once each connection."""
    found: dict[tuple[UUID, str, int], tuple[UUID, list[datetime], list[datetime]]] = {}
    for one in event.reports:
        key = (one.operator_id, one.station_id, one.generation)
        _, opened, closed = found.setdefault(key, (one.replica, [], []))
        (opened if one.connected else closed).append(one.at)
    return [
        (*key, replica, min(opened, default=None), min(closed, default=None))
        for key, (replica, opened, closed) in sorted(found.items())
    ]


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
            stored(one.vendor), stored(one.model),
            stored(one.serial_number), stored(one.firmware_version),
        )
        for one in newest
    ]  # fmt: skip
    news.note(db, await upsert_boots(db, rows))


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
    news.note(db, await upsert_statuses(db, _status_rows(newest_of_connectors(reports))))
    await upsert_standings(db, [dataclasses.astuple(one) for one in standings(reports)])
    await failures.note_faults(db, reports)


SLOT: Final = CONNECTOR | {
    "slot_at": "timestamptz", "generation": "bigint", "at": "timestamptz", "standing": "text",
    "error_code": "text", "vendor_error_code": "text",
}  # fmt: skip
upsert_standings = Upsert(
    "connector_standing", SLOT, len(CONNECTOR) + 1,
    _as_told(("generation", "at", "standing", "error_code", "vendor_error_code")),
    "(was.generation, was.at, was.standing) < "
    "(excluded.generation, excluded.at, excluded.standing)",
)  # fmt: skip


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
            stored(told.report.error_code),
            stored(told.report.vendor_error_code),
            stored(told.report.info),
            told.report.reported_at,
            told.report.received_at,
        )
        for told in batch
    ]


EVSE: Final = STATION | {"evse_id": "integer"}
SESSION: Final = {
    "connector_id": "integer", "session_id": "uuid", "started_at": "timestamptz",
    "ended_at": "timestamptz", "meter_start_wh": "bigint",
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
        event.meter_start_wh,
    )  # fmt: skip
    news.note(db, await upsert_sessions(db, [row]))
    if isinstance(event, SessionEnded):
        await failures.note_end(db, event)


METER: Final = {
    "session_id": "uuid", "sampled_at": "timestamptz", "power_w": "bigint",
    "register_wh": "bigint", "base_wh": "bigint", "base_at": "timestamptz",
}  # fmt: skip
# A shorter time than this, with a register that counts whole Wh, says nothing of the power.
POWER_OVER_S: Final = 5
_SAME: Final = "was.session_id = excluded.session_id"
_SINCE_BASE: Final = "extract(epoch from excluded.sampled_at - was.base_at)"
_RECKONED: Final = (
    f"{_SAME} and excluded.register_wh >= was.base_wh and {_SINCE_BASE} >= {POWER_OVER_S}"
)
_NEW_BASE: Final = (
    "excluded.register_wh is not null and (was.base_at is null "
    f"or not {_SAME} or {_SINCE_BASE} >= {POWER_OVER_S})"
)
upsert_meters = Upsert(
    "evse_meter", EVSE | METER, len(EVSE),
    "session_id = excluded.session_id, sampled_at = excluded.sampled_at, "
    "power_w = coalesce(excluded.power_w, "
    f"case when {_RECKONED} then "
    f"least({POWER_MAX_W}, round((excluded.register_wh - was.base_wh) * 3600 / {_SINCE_BASE})) "
    f"when {_SAME} then was.power_w end), "
    "register_wh = coalesce(excluded.register_wh, "
    f"case when {_SAME} then was.register_wh end), "
    f"base_wh = case when {_NEW_BASE} then excluded.register_wh when {_SAME} then was.base_wh end, "
    f"base_at = case when {_NEW_BASE} then excluded.sampled_at when {_SAME} then was.base_at end",
    "was.sampled_at <= excluded.sampled_at",
)  # fmt: skip


async def note_meters(db: AsyncSession, event: MeterValuesReported) -> None:
    """The newest reading an EVSE: what was before is billing's."""
    rows = [
        (
            one.operator_id, one.station_id, one.evse_id, one.session_id, one.sampled_at,
            one.power_w, one.register_wh,
            one.register_wh, None if one.register_wh is None else one.sampled_at,
        )
        for one in readings(event.reports)
        if 0 <= one.evse_id <= EVSE_ID_MAX
    ]  # fmt: skip
    news.note(db, await upsert_meters(db, rows))


HANDLERS: inbox.Handlers = {
    GatewayBeat: note_beat,
    ConnectionsReported: note_connections,
    BootsReported: note_boots,
    StationDiscovered: pending_stations.note_discovery,
    StatusesReported: note_statuses,
    MeterValuesReported: note_meters,
    SessionStarted: note_session,
    SessionEnded: note_session,
    IncidentOpened: failures.note_incident,
    OperatorChanged: operators.keep_operator,
    TariffChanged: keep_tariff,
    DisplayPricesChanged: keep_display_prices,
}
