"""Transactions: what chargers report of a session's start and end, stored before it is answered."""

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson

from common.clock import now
from common.events import Incident, IncidentOpened, SessionEnded, SessionStarted
from common.ids import uuid7
from csms_gateway import clocks, plausibility
from csms_gateway.authorizing import Undecided
from csms_gateway.charger import Charger

log = logging.getLogger(__name__)

REMEMBERED_MAX = 64  # sessions a socket; a station has a few at a time

# One statement, so one round trip and one commit: the transaction, the event that tells of it, and
# the remote start that it came of. A repeat inserts nothing and gets the first one's id.
START = """
with new as (
    insert into transaction (
        session_id, operator_id, station_id, evse_id, connector_id, id_token, id_token_key,
        card_id, user_id, token_status, started_at, started_raw, start_received_at,
        meter_start_wh, start_payload, incidents
    ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    on conflict on constraint uq_transaction_start do nothing
    returning id, session_id, token_status
), told as (
    insert into outbox (event_id, subject, body)
    select $17, $18, jsonb_set($19::jsonb, '{transaction_id}', to_jsonb(id::text))::text from new
), came_of as (
    update command set session_id = $1
    where id = (
        select id from command
        where station_id = $3 and type = 'remote_start' and session_id is null
        and state in ('sent', 'accepted') and upper(parameters->>'id_token') = $7
        and requested_at > $13 - interval '5 minutes'
        order by id limit 1
    ) and exists (select from new)
), left_open as (
    update transaction set incidents = incidents || $20::jsonb
    where station_id = $3 and evse_id = $4 and connector_id = $5 and ended_at is null
    and not incidents @> '[{"kind": "start_while_open"}]' and exists (select from new)
    returning session_id
)
select id, session_id, token_status, (select array_agg(session_id) from left_open) as left_open
from new
"""
STARTED_BEFORE = """
select id, session_id, token_status from transaction
where station_id = $1 and evse_id = $2 and connector_id = $3 and id_token_key = $4
and started_raw = $5 and meter_start_wh = $6
"""
BY_ID = "select * from transaction where id = $1 and station_id = $2"
# For a stop with an id of 0 or -1, or one we never gave: the only open one that it can mean.
CANDIDATES = """
select * from transaction
where station_id = $1 and ended_at is null and meter_start_wh <= $2
and ($3::text is null or id_token_key = $3)
order by id desc limit 2
"""
STOP = """
with done as (
    update transaction set
        ended_at = $2, ended_raw = $3, stop_received_at = $4, meter_stop_wh = $5, energy_wh = $6,
        stop_reason = $7, stop_payload = $8, incidents = $9
    where id = $1 and ended_at is null
    returning id
), told as (
    insert into outbox (event_id, subject, body) select $10, $11, $12 from done
)
select id from done
"""
UNMATCHED = """
with kept as (
    insert into unmatched_message (
        id, operator_id, station_id, action, digest, payload, received_at, session_id
    ) values ($11, $1, $2, $3, $4, $5, $6, $7)
    on conflict (station_id, action, digest) do nothing
    returning id
), told as (
    insert into outbox (event_id, subject, body)
    select $8, $9, $10 from kept where $8::uuid is not null
)
select id from kept
"""
TELL = "insert into outbox (event_id, subject, body) values ($1, $2, $3)"
SESSION_OF = """
select session_id from transaction where station_id = $1 and id = $2
"""
OPEN_ON = """
select session_id from transaction
where station_id = $1 and evse_id = $2 and ended_at is null order by id desc limit 1
"""


@dataclass(frozen=True, slots=True)
class StartReport:
    """A start as the charger told it, in version-neutral words."""

    evse_id: int
    connector_id: int
    id_token: str
    meter_start_wh: int
    at: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Started:
    transaction_id: int
    token_status: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class StopReport:
    transaction_id: int
    id_token: str | None
    meter_stop_wh: int
    at: str
    reason: str | None
    payload: dict[str, Any]


async def start(charger: Charger, report: StartReport) -> Started:
    """Store a start, whatever it says; a repeat gets the id of the first."""
    received_at = now()
    settled = clocks.settle(report.at, received_at, charger.connected_at)
    incidents = _doubts(settled)
    token = await _token(charger, report, incidents)
    event = SessionStarted(
        operator_id=charger.operator_id,
        session_id=uuid4(),
        transaction_id="",  # the statement fills it in
        station_id=charger.station_id,
        evse_id=report.evse_id,
        connector_id=report.connector_id,
        id_token=report.id_token,
        card_id=token.card_id,
        user_id=token.user_id,
        token_status=token.status,
        started_at=settled.at,
        meter_start_wh=report.meter_start_wh,
        incidents=tuple(incidents),
    )
    left_open = Incident(
        kind="start_while_open",
        detail=f"another session ({event.session_id}) started before this one was stopped",
    )
    row = await charger.gateway.pool.fetchrow(
        START, event.session_id, charger.operator_id, charger.station_id, report.evse_id,
        report.connector_id, report.id_token, report.id_token.upper(), token.card_id,
        token.user_id, token.status, settled.at, report.at, received_at, report.meter_start_wh,
        _json(report.payload), _json([i.model_dump() for i in incidents]), event.id,
        event.subject, event.model_dump_json(), _json([left_open.model_dump()]),
    )  # fmt: skip
    if row is None:
        row = await charger.gateway.pool.fetchrow(
            STARTED_BEFORE, charger.station_id, report.evse_id, report.connector_id,
            report.id_token.upper(), report.at, report.meter_start_wh,
        )  # fmt: skip
        assert row is not None
    else:
        charger.gateway.parts.connections.emitted.set()
        for session_id in row["left_open"] or ():
            await _open_incident(charger, session_id, left_open)
    _remember(charger, str(row["id"]), row["session_id"])
    charger.open_by_evse[report.evse_id] = row["session_id"]
    return Started(row["id"], row["token_status"], token.expires_at)


@dataclass(frozen=True, slots=True)
class _Token:
    status: str
    card_id: UUID | None
    user_id: UUID | None
    expires_at: datetime | None


async def _token(charger: Charger, report: StartReport, incidents: list[Incident]) -> _Token:
    try:
        answer = await charger.gateway.authorizer.decide(
            charger.operator_id, charger.station_id, report.evse_id, report.id_token
        )
    except Undecided as undecided:
        # The charger has let the driver start, by our earlier answer or its own list. Stopping
        # the car now would punish the driver for our outage; the review looks at it.
        incidents.append(Incident(kind="authorization_unavailable", detail=str(undecided)))
        return _Token("Accepted", None, None, None)
    if answer.status != "Accepted":
        incidents.append(Incident(kind="token_refused", detail=answer.why))
    return _Token(answer.status, answer.card_id, answer.user_id, answer.expires_at)


def _doubts(settled: clocks.Settled) -> list[Incident]:
    if settled.doubt:
        return [Incident(kind="clock", detail=settled.doubt)]
    return []


async def stop(charger: Charger, report: StopReport) -> None:
    """Store a stop. The first one counts; another value later is an incident, not a change."""
    received_at = now()
    row = await _row(charger, report.transaction_id)
    incidents: list[Incident] = []
    if row is None:
        row = await _only_candidate(charger, report)
        if row is None:
            await _stop_without_start(charger, report, received_at)
            return
        detail = f"the charger stopped transaction {report.transaction_id}, which is not known"
        incidents.append(Incident(kind="stop_matched", detail=detail))
    if row["ended_at"] is None:
        event = _ended(charger, row, report, received_at, incidents)
        done = await charger.gateway.pool.fetchval(
            STOP, row["id"], event.ended_at, report.at, received_at, report.meter_stop_wh,
            event.energy_wh, report.reason, _json(report.payload),
            _json([i.model_dump() for i in event.incidents]), event.id, event.subject,
            event.model_dump_json(),
        )  # fmt: skip
        if done is not None:
            charger.gateway.parts.connections.emitted.set()
            if charger.open_by_evse.get(row["evse_id"]) == row["session_id"]:
                charger.open_by_evse[row["evse_id"]] = None
            return
        row = await _row(charger, row["id"])  # the same stop on another socket was faster
        assert row is not None
    if row["meter_stop_wh"] != report.meter_stop_wh:
        detail = f"stopped again at {report.meter_stop_wh} Wh; {row['meter_stop_wh']} Wh was kept"
        incident = Incident(kind="stop_repeated", detail=detail)
        await _open_incident(charger, row["session_id"], incident)


def _ended(
    charger: Charger,
    row: asyncpg.Record,
    report: StopReport,
    received_at: datetime,
    incidents: list[Incident],
) -> SessionEnded:
    settled = clocks.settle(report.at, received_at, charger.connected_at)
    incidents = [Incident(**one) for one in orjson.loads(row["incidents"])] + incidents
    incidents += _doubts(settled)
    ended_at = settled.at
    if ended_at < row["started_at"]:
        ended_at = max(received_at, row["started_at"])
        detail = f"the charger says it ended at {report.at}, before it started"
        incidents.append(Incident(kind="clock", detail=detail))
    energy = plausibility.energy(
        row["meter_start_wh"],
        report.meter_stop_wh,
        row["started_at"],
        ended_at,
        charger.station.power_by_evse.get(row["evse_id"]),
    )
    return SessionEnded(
        operator_id=row["operator_id"],
        session_id=row["session_id"],
        transaction_id=str(row["id"]),
        station_id=row["station_id"],
        evse_id=row["evse_id"],
        connector_id=row["connector_id"],
        id_token=row["id_token"],
        card_id=row["card_id"],
        user_id=row["user_id"],
        token_status=row["token_status"],
        started_at=row["started_at"],
        meter_start_wh=row["meter_start_wh"],
        incidents=(*incidents, *energy.incidents),
        ended_at=ended_at,
        meter_stop_wh=report.meter_stop_wh,
        energy_wh=energy.energy_wh,
        stop_reason=report.reason,
    )


async def _row(charger: Charger, transaction_id: int) -> asyncpg.Record | None:
    if not 0 < transaction_id < 2**31:
        return None
    return await charger.gateway.pool.fetchrow(BY_ID, transaction_id, charger.station_id)


async def _only_candidate(charger: Charger, report: StopReport) -> asyncpg.Record | None:
    token = report.id_token.upper() if report.id_token else None
    rows = await charger.gateway.pool.fetch(
        CANDIDATES, charger.station_id, report.meter_stop_wh, token
    )
    return rows[0] if len(rows) == 1 else None


async def _stop_without_start(charger: Charger, report: StopReport, received_at: datetime) -> None:
    """A session of which only the end is known: kept for review, its energy unknown.

    Its register would bill the meter's whole life.
    """
    settled = clocks.settle(report.at, received_at, charger.connected_at)
    detail = f"a stop of transaction {report.transaction_id}, whose start is not known"
    event = SessionEnded(
        operator_id=charger.operator_id,
        session_id=uuid4(),
        transaction_id=str(report.transaction_id),
        station_id=charger.station_id,
        evse_id=0,
        connector_id=0,
        id_token=report.id_token or "",
        card_id=None,
        user_id=None,
        token_status="Unknown",  # noqa: S106 - no secret
        started_at=settled.at,
        meter_start_wh=None,
        incidents=(Incident(kind="stop_without_start", detail=detail), *_doubts(settled)),
        ended_at=settled.at,
        meter_stop_wh=report.meter_stop_wh,
        energy_wh=None,
        stop_reason=report.reason,
    )
    await _keep_unmatched(charger, "StopTransaction", report.payload, received_at, event)


async def _keep_unmatched(
    charger: Charger,
    action: str,
    payload: dict[str, Any],
    received_at: datetime,
    event: SessionEnded | None,
) -> None:
    log.warning("%s of %s belongs to no known transaction", action, charger.station_id)
    digest = hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest()
    kept = await charger.gateway.pool.fetchval(
        UNMATCHED, charger.operator_id, charger.station_id, action, digest, _json(payload),
        received_at, event.session_id if event else None, event.id if event else None,
        event.subject if event else None, event.model_dump_json() if event else None, uuid7(),
    )  # fmt: skip
    if kept and event:
        charger.gateway.parts.connections.emitted.set()


async def session_of(
    charger: Charger, transaction_id: int | None, evse_id: int, payload: dict[str, Any]
) -> UUID | None:
    """The session that meter values belong to: by transaction id, else the open one there."""
    if transaction_id is None:
        if evse_id == 0:
            return None
        if evse_id not in charger.open_by_evse:
            charger.open_by_evse[evse_id] = await charger.gateway.pool.fetchval(
                OPEN_ON, charger.station_id, evse_id
            )
        return charger.open_by_evse[evse_id]
    key = str(transaction_id)
    if key not in charger.sessions:
        session: UUID | None = None
        if 0 < transaction_id < 2**31:
            session = await charger.gateway.pool.fetchval(
                SESSION_OF, charger.station_id, transaction_id
            )
        if session is None:
            await _keep_unmatched(charger, "MeterValues", payload, now(), None)
            return None
        _remember(charger, key, session)
    return charger.sessions[key]


def _remember(charger: Charger, transaction_id: str, session_id: UUID) -> None:
    if len(charger.sessions) >= REMEMBERED_MAX:
        charger.sessions.clear()
    charger.sessions[transaction_id] = session_id


async def _open_incident(charger: Charger, session_id: UUID, incident: Incident) -> None:
    event = IncidentOpened(
        operator_id=charger.operator_id,
        session_id=session_id,
        station_id=charger.station_id,
        incident=incident,
    )
    await charger.gateway.pool.execute(TELL, event.id, event.subject, event.model_dump_json())
    charger.gateway.parts.connections.emitted.set()


def _json(value: Any) -> str:
    # PostgreSQL's jsonb cannot hold NUL; the message log has the frame as it was.
    return orjson.dumps(value).decode().replace("\\u0000", "\\ufffd")
