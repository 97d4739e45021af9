"""Transactions: what chargers report of a session's start and end, stored before it is answered."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson

from common.authorize import AuthorizeAnswer
from common.clock import now
from common.events import Incident, IncidentOpened, SessionEnded, SessionStarted
from csms_gateway import clocks, plausibility
from csms_gateway import transaction_statements as sql
from csms_gateway.authorizing import Undecided, starting
from csms_gateway.charger import Charger, Unsupported
from csms_gateway.kept_messages import keep_unmatched
from csms_gateway.stored_json import as_json, holder_json, holder_of

REMEMBERED_MAX = 64  # sessions a socket; a station has a few at a time

# Makes the readings in a message durable, as those of a session on an EVSE; None, 0: not known.
Readings = Callable[[UUID | None, int], Awaitable[None]]


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
    session_id: UUID
    token_status: str
    expires_at: datetime | None
    parent_id_token: str | None
    started_at: datetime
    reserved: bool  # the station has or had a reservation that it may use


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
    settled = _settled(charger, report.at, received_at)
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
        holder=token.holder,
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
        sql.START, event.session_id, charger.operator_id, charger.station_id, report.evse_id,
        report.connector_id, report.id_token, report.id_token.upper(), token.card_id,
        token.user_id, token.status, settled.at, report.at, received_at, report.meter_start_wh,
        as_json(report.payload), as_json([i.model_dump() for i in incidents]), event.id,
        event.subject, event.model_dump_json(), as_json([left_open.model_dump()]),
        holder_json(token.holder),
    )  # fmt: skip
    if row is None:
        row = await charger.gateway.pool.fetchrow(
            sql.STARTED_BEFORE, charger.station_id, report.evse_id, report.connector_id,
            report.id_token.upper(), report.at, report.meter_start_wh,
        )  # fmt: skip
        assert row is not None
        # It may have been stopped since; which one is open now, the table knows.
        charger.open_by_evse.pop(report.evse_id, None)
    else:
        charger.gateway.parts.connections.emitted.set()
        _keep_for_stop(charger, row["id"], event)
        for session_id in row["left_open"] or ():
            await open_incident(charger, session_id, left_open)
        charger.open_by_evse[report.evse_id] = row["session_id"]
    reserved = row.get("reserved", True)  # a repeat: nobody looked
    _remember(charger, str(row["id"]), row["session_id"])
    return Started(
        row["id"],
        row["session_id"],
        row["token_status"],
        token.expires_at,
        token.parent_id_token,
        settled.at,
        reserved,
    )


async def _token(
    charger: Charger, report: StartReport, incidents: list[Incident]
) -> AuthorizeAnswer:
    try:
        answer = starting(
            await charger.gateway.authorizer.decide(
                charger.operator_id, charger.station_id, report.evse_id, report.id_token
            )
        )
    except Undecided as undecided:
        # The charger has let the driver start, by our earlier answer or its own list. Stopping
        # the car now would punish the driver for our outage; the review looks at it.
        incidents.append(Incident(kind="authorization_unavailable", detail=str(undecided)))
        return AuthorizeAnswer(status="Accepted", why=str(undecided))
    if answer.status != "Accepted":
        incidents.append(Incident(kind="token_refused", detail=answer.why))
    return answer


def _settled(charger: Charger, raw: str, received_at: datetime) -> clocks.Settled:
    settled = clocks.settle(raw, received_at, charger.reachable_since)
    if settled.late:
        # It is delivering what it kept; what it says next may have waited behind this.
        charger.reachable_since = received_at
    return settled


def _doubts(settled: clocks.Settled) -> list[Incident]:
    if settled.doubt:
        return [Incident(kind="clock", detail=settled.doubt)]
    return []


async def stop(charger: Charger, report: StopReport, readings: Readings) -> None:
    """Store a stop. The first one counts; another value later is an incident, not a change.

    readings makes the readings in it durable; called before the end is stored, for they must not be
    missing from a session that has ended.
    """
    received_at = now()
    row: Any = charger.started.pop(report.transaction_id, None)
    row = row or await _row(charger, report.transaction_id)
    incidents: list[Incident] = []
    if row is None:
        if await charger.gateway.pool.fetchval(
            sql.STOPPED_BEFORE, charger.station_id, report.at, report.meter_stop_wh
        ):
            return  # the same stop again: its answer was lost
        row = await _only_candidate(charger, report, received_at)
        if row is None:
            await readings(None, 0)
            await _stop_without_start(charger, report, received_at)
            return
        detail = f"the charger stopped transaction {report.transaction_id}, which is not known"
        incidents.append(Incident(kind="stop_matched", detail=detail))
    await readings(row["session_id"], row["evse_id"])
    while row["ended_at"] is None:
        event = _ended(charger, row, report, received_at, incidents)
        done = await charger.gateway.pool.fetchval(
            sql.STOP, row["id"], event.ended_at, report.at, received_at, report.meter_stop_wh,
            event.energy_wh, report.reason, as_json(report.payload),
            as_json([i.model_dump() for i in event.incidents]), event.id, event.subject,
            event.model_dump_json(), row["incidents"],
        )  # fmt: skip
        if done is not None:
            charger.gateway.parts.connections.emitted.set()
            if charger.open_by_evse.get(row["evse_id"]) == row["session_id"]:
                charger.open_by_evse[row["evse_id"]] = None
            return
        # The same stop on another socket was faster, or an incident came up.
        row = await _row(charger, row["id"])
        assert row is not None
    if row["meter_stop_wh"] != report.meter_stop_wh:
        detail = f"stopped again at {report.meter_stop_wh} Wh; {row['meter_stop_wh']} Wh was kept"
        incident = Incident(kind="stop_repeated", detail=detail)
        told = _opened(charger, row["session_id"], incident)
        # Perhaps of another session, whose start is lost: so all of it is kept (R3), and a charger
        # that repeats it for ever is told of once.
        await keep_unmatched(charger, "StopTransaction", report.payload, received_at, told)


def _ended(
    charger: Charger,
    row: Any,  # a row of the table, or what _keep_for_stop has of it
    report: StopReport,
    received_at: datetime,
    incidents: list[Incident],
) -> SessionEnded:
    settled = _settled(charger, report.at, received_at)
    incidents = [Incident(**one) for one in orjson.loads(row["incidents"])] + incidents
    ended_at = settled.at
    claimed = clocks.read(report.at)
    slow = settled.doubt and claimed and row["started_at"] <= claimed < received_at
    if slow and claimed and not any(incident.kind == "clock" for incident in incidents):
        # The start counts by the charger's clock, so the end does too: a clock that is an hour
        # slow makes a session at the wrong time, but not an hour longer.
        ended_at = claimed
    incidents += _doubts(settled)
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
        holder=holder_of(row["holder"]),
        token_status=row["token_status"],
        started_at=row["started_at"],
        meter_start_wh=row["meter_start_wh"],
        incidents=(*incidents, *energy.incidents),
        ended_at=ended_at,
        meter_stop_wh=report.meter_stop_wh,
        energy_wh=energy.energy_wh,
        stop_reason=report.reason,
    )


def _keep_for_stop(charger: Charger, transaction_id: int, event: SessionStarted) -> None:
    """What a stop on the same socket needs of its start, as the row has it."""
    if len(charger.started) >= REMEMBERED_MAX:
        charger.started.clear()
    incidents = [incident.model_dump() for incident in event.incidents]
    charger.started[transaction_id] = {
        **event.model_dump(exclude={"incidents", "transaction_id"}),
        "id": transaction_id,
        "incidents": as_json(incidents),
        "holder": holder_json(event.holder),
        "ended_at": None,
    }


async def _row(charger: Charger, transaction_id: int) -> asyncpg.Record | None:
    if not 0 < transaction_id < 2**31:
        return None
    return await charger.gateway.pool.fetchrow(sql.BY_ID, transaction_id, charger.station_id)


async def _only_candidate(
    charger: Charger, report: StopReport, received_at: datetime
) -> asyncpg.Record | None:
    token = report.id_token.upper() if report.id_token else None
    at = _settled(charger, report.at, received_at).at
    rows = await charger.gateway.pool.fetch(
        sql.CANDIDATES, charger.station_id, report.meter_stop_wh, token, at
    )
    return rows[0] if len(rows) == 1 else None


async def _stop_without_start(charger: Charger, report: StopReport, received_at: datetime) -> None:
    """A session of which only the end is known: kept for review, its energy unknown.

    Its register would bill the meter's whole life.
    """
    settled = _settled(charger, report.at, received_at)
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
    await keep_unmatched(charger, "StopTransaction", report.payload, received_at, event)


async def session_of(
    charger: Charger, transaction_id: int | None, evse_id: int, payload: dict[str, Any]
) -> UUID | None:
    """The session that meter values belong to: by transaction id, else the open one there."""
    if transaction_id is None or transaction_id <= 0:  # 0 and -1 are no transactions
        if evse_id == 0:
            return None
        if evse_id not in charger.open_by_evse:
            charger.open_by_evse[evse_id] = await charger.gateway.pool.fetchval(
                sql.OPEN_ON, charger.station_id, evse_id
            )
        return charger.open_by_evse[evse_id]
    key = str(transaction_id)
    if key not in charger.sessions:
        session: UUID | None = None
        if transaction_id < 2**31:
            session = await charger.gateway.pool.fetchval(
                sql.SESSION_OF, charger.station_id, transaction_id
            )
        if session is None:
            await keep_unmatched(charger, "MeterValues", payload, now())
            return None
        _remember(charger, key, session)
    return charger.sessions[key]


async def ids_of(charger: Charger, session_id: UUID) -> tuple[int, str | None]:
    """OCPP 1.6's number of a session's transaction, and OCPP 2.x's id of it. Raises Unsupported."""
    row = await charger.gateway.pool.fetchrow(sql.IDS_OF, charger.station_id, session_id)
    if row is None:
        raise Unsupported(f"no session {session_id} of {charger.station_id}")
    return row["id"], row["ocpp_id"]


def _remember(charger: Charger, transaction_id: str, session_id: UUID) -> None:
    if len(charger.sessions) >= REMEMBERED_MAX:
        charger.sessions.clear()
    charger.sessions[transaction_id] = session_id


def _opened(charger: Charger, session_id: UUID, incident: Incident) -> IncidentOpened:
    return IncidentOpened(
        operator_id=charger.operator_id,
        session_id=session_id,
        station_id=charger.station_id,
        incident=incident,
    )


async def open_incident(charger: Charger, session_id: UUID, incident: Incident) -> None:
    event = _opened(charger, session_id, incident)
    await charger.gateway.pool.execute(sql.TELL, event.id, event.subject, event.model_dump_json())
    charger.gateway.parts.connections.emitted.set()
