"""Transactions of OCPP 2.x: each event stored before it is answered, the session told in full.

A session is told as ended once all its events are there; if some stay away, GRACE later, with an
incident, for a bill must not wait for ever for what a station has lost.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson

from common.authorize import AuthorizeAnswer
from common.clock import now
from common.events import Event, Incident, SessionEnded, SessionStarted
from csms_gateway import clocks, plausibility, transactions
from csms_gateway import transaction_event_statements as sql
from csms_gateway.authorizing import Undecided, starting
from csms_gateway.charger import Charger
from csms_gateway.gateway import Gateway
from csms_gateway.transaction_fold import (
    BEGIN,
    END,
    Known,
    Token,
    begins,
    merged,
    missing,
    register,
)

log = logging.getLogger(__name__)

GRACE: Final = timedelta(minutes=5)  # what was kept offline arrives within minutes, or not at all
SWEEP_S: Final = 30.0
TRIES: Final = 5
REMEMBERED_MAX: Final = 16  # transactions a socket; a station has a few at a time
NOBODY: Final = "NoAuthorization"

Readings = Callable[[Known], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stored:
    session_id: UUID
    token: AuthorizeAnswer | None


@dataclass(frozen=True, slots=True)
class _Arrived:
    """One event as it came in."""

    payload: dict[str, Any]
    received_at: datetime
    settled: clocks.Settled
    token: Token | None
    incidents: tuple[Incident, ...]

    @property
    def ocpp_id(self) -> str:
        found: str = self.payload["transactionInfo"]["transactionId"]
        return found

    @property
    def seq_no(self) -> int:
        found: int = self.payload["seqNo"]
        return found


async def store(charger: Charger, payload: dict[str, Any], readings: Readings) -> Stored:
    """Store an event and its readings, whatever it says; a repeat is stored once.

    readings makes the event's meter values durable; called at least once for each event.
    """
    received_at = now()
    since = received_at if payload.get("offline") else charger.reachable_since
    settled = clocks.settle(payload["timestamp"], received_at, since)
    if settled.late:
        # It is delivering what it kept; what it says next may have waited behind this.
        charger.reachable_since = received_at
    answer, token, doubts = await _token(charger, payload)
    if settled.doubt and payload["eventType"] != "Updated":
        doubts.append(Incident(kind="clock", detail=settled.doubt))
    arrived = _Arrived(payload, received_at, settled, token, tuple(doubts))
    for _ in range(TRIES):
        known = await _stored(charger, arrived, readings)
        if known:
            charger.open_by_evse[known.evse_id] = None if known.ended_at else known.session_id
            return Stored(known.session_id, answer)
        charger.transactions.pop(arrived.ocpp_id, None)
    raise RuntimeError(f"transaction {arrived.ocpp_id} changes faster than it can be stored")


async def _token(
    charger: Charger, payload: dict[str, Any]
) -> tuple[AuthorizeAnswer | None, Token | None, list[Incident]]:
    given = payload.get("idToken")
    if given is None:
        return None, None, []
    id_token, kind = given["idToken"], given["type"]
    if kind == NOBODY:
        # The operator let this station charge anybody (2.0.1, C02).
        answer = AuthorizeAnswer(status="Accepted", why="the station asks nobody for a card")
        return answer, Token(id_token, kind, "Accepted", None, None), []
    evse_id = (payload.get("evse") or {}).get("id")
    try:
        answer = await charger.gateway.authorizer.decide(
            charger.operator_id, charger.station_id, evse_id, id_token
        )
    except Undecided as undecided:
        # As in 1.6: stopping the car now would punish the driver for our outage.
        incident = Incident(kind="authorization_unavailable", detail=str(undecided))
        return None, Token(id_token, kind, "Accepted", None, None), [incident]
    if begins(payload):
        answer = starting(answer)
    token = Token(id_token, kind, answer.status, answer.card_id, answer.user_id)
    if answer.status == "Accepted" or payload["eventType"] == "Ended":
        return answer, token, []
    return answer, token, [Incident(kind="token_refused", detail=answer.why)]


async def _stored(charger: Charger, arrived: _Arrived, readings: Readings) -> Known | None:
    """The transaction with the event stored; None: somebody else changed it, look again."""
    payload = arrived.payload
    before = charger.transactions.get(arrived.ocpp_id)
    if before is None:
        row = await charger.gateway.pool.fetchrow(
            sql.KNOWN, charger.station_id, arrived.ocpp_id, arrived.seq_no,
            transactions.as_json(payload),
        )  # fmt: skip
        if row and row["repeated"] is not None:
            return await _repeated(
                charger, arrived, sql.known_of(row), readings, same=row["repeated"]
            )
        before = sql.known_of(row) if row else None
    known = before or Known(
        session_id=uuid4(),
        ocpp_id=arrived.ocpp_id,
        started_at=arrived.settled.at,
        started_raw=payload["timestamp"],
    )
    after = merged(known, payload, arrived.settled.at, arrived.token)
    if arrived.incidents:
        found = tuple(incident.model_dump() for incident in arrived.incidents)
        after = replace(after, incidents=known.incidents + found)
    if before and after == before and not _waits(after):
        await readings(after)
        new = await charger.gateway.pool.fetchval(
            sql.EVENT, charger.station_id, arrived.ocpp_id, arrived.seq_no, charger.operator_id,
            transactions.as_json(payload), arrived.received_at,
        )  # fmt: skip
        if new is None:
            return None  # the first answer was lost, or the number is used again
    else:
        if before:
            # Before an end: its readings must not be missing from a session that has ended.
            await readings(after)
        written = await _write(charger, after, arrived)
        if written is None:
            return None
        after = written
        if not before:
            await readings(after)
    if known.end_told:
        detail = f"event {arrived.seq_no} came after the session was told as ended"
        incident = Incident(kind="delivered_late", detail=detail)
        await transactions.open_incident(charger, after.session_id, incident)
    _remember(charger, after)
    return after


def _waits(known: Known) -> bool:
    return known.ended_at is not None and not known.end_told


def _remember(charger: Charger, known: Known) -> None:
    if len(charger.transactions) >= REMEMBERED_MAX:
        charger.transactions.clear()
    charger.transactions[known.ocpp_id] = known


async def _repeated(
    charger: Charger, arrived: _Arrived, known: Known, readings: Readings, *, same: bool
) -> Known:
    if not same:
        # R3: a station that counts anew after a restart still tells of energy.
        await transactions.keep_unmatched(
            charger, "TransactionEvent", arrived.payload, arrived.received_at
        )
        detail = f"event {arrived.seq_no} of {arrived.ocpp_id} came again and says something else"
        incident = Incident(kind="seq_no_reused", detail=detail)
        await transactions.open_incident(charger, known.session_id, incident)
    # The first try may have failed after the event was stored; readings have keys of their own.
    await readings(known)
    _remember(charger, known)
    return known


async def _write(charger: Charger, known: Known, arrived: _Arrived) -> Known | None:
    """None: somebody else was faster."""
    pool = charger.gateway.pool
    told: list[Event] = []
    energy: plausibility.Energy | None = None
    tell_by = None
    known = replace(known, revision=known.revision + 1)
    if known.token and not known.start_told:
        told.append(_started(charger.operator_id, charger.station_id, known))
        known = replace(known, start_told=True)
    if _waits(known):
        seq_nos = await pool.fetchval(sql.SEQ_NOS, charger.station_id, known.ocpp_id) or []
        if missing(known, [*seq_nos, arrived.seq_no]):
            tell_by = arrived.received_at + GRACE
        else:
            power_w = charger.station.power_by_evse.get(known.evse_id)
            known, energy = await _concluded(
                charger.gateway, charger.station_id, known, power_w, arrived.payload
            )
            told.append(_ended(charger.operator_id, charger.station_id, known, energy))
    left_open = Incident(
        kind="start_while_open",
        detail=f"another session ({known.session_id}) started before this one was stopped",
    )
    try:
        row = await pool.fetchrow(
            sql.WRITE,
            *sql.values(charger.operator_id, charger.station_id, known, arrived.received_at,
                      energy.energy_wh if energy else None, tell_by),
            arrived.seq_no, transactions.as_json(arrived.payload), arrived.received_at,
            _outbox(told), transactions.as_json([left_open.model_dump()]),
            arrived.payload["eventType"] == "Started",
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        return None
    if row is None:
        return None
    if told:
        charger.gateway.parts.connections.emitted.set()
    for session_id in row["left_open"] or ():
        await transactions.open_incident(charger, session_id, left_open)
    return known


def _outbox(told: list[Event]) -> str:
    rows = [[str(event.id), event.subject, event.model_dump_json()] for event in told]
    return orjson.dumps(rows).decode()


async def _concluded(
    gateway: Gateway,
    station_id: str,
    known: Known,
    power_w: int | None,
    last: dict[str, Any] | None = None,
) -> tuple[Known, plausibility.Energy]:
    """A transaction that has ended, with its energy and what is odd about it."""
    found: list[Incident] = []
    if known.meter_start_wh is None or known.meter_stop_wh is None:
        rows = await gateway.pool.fetch(sql.READINGS, station_id, known.ocpp_id)
        payloads = [orjson.loads(row["payload"]) for row in rows]
        values = [one for each in [*payloads, last or {}] for one in each.get("meterValue", [])]
        start, stop = known.meter_start_wh, known.meter_stop_wh
        if start is None:
            start = register(values, BEGIN, any_context=True)
        if stop is None:
            stop = register(values[::-1], END, any_context=True)
        detail = "no register reading at its start or end; the nearest were taken, if there are any"
        found.append(Incident(kind="meter_reading_missing", detail=detail))
        known = replace(known, meter_start_wh=start, meter_stop_wh=stop)
    assert known.ended_at is not None
    if known.ended_at < known.started_at:
        detail = f"the station says it ended at {known.ended_raw}, before it started"
        found.append(Incident(kind="clock", detail=detail))
        known = replace(known, ended_at=known.started_at)
    assert known.ended_at is not None
    energy = plausibility.energy(
        known.meter_start_wh, known.meter_stop_wh, known.started_at, known.ended_at, power_w
    )
    odd = tuple(incident.model_dump() for incident in (*found, *energy.incidents))
    return replace(known, incidents=known.incidents + odd, end_told=True), energy


def _state(operator_id: UUID, station_id: str, known: Known) -> dict[str, Any]:
    token = known.token
    return {
        "operator_id": operator_id,
        "session_id": known.session_id,
        "transaction_id": known.ocpp_id,
        "station_id": station_id,
        "evse_id": known.evse_id,
        "connector_id": known.connector_id,
        "id_token": token.id_token if token else "",
        "card_id": token and token.card_id,
        "user_id": token and token.user_id,
        "token_status": token.status if token else "Unknown",
        "started_at": known.started_at,
        "meter_start_wh": known.meter_start_wh,
        "incidents": [Incident(**one) for one in known.incidents],
    }


def _started(operator_id: UUID, station_id: str, known: Known) -> SessionStarted:
    return SessionStarted(**_state(operator_id, station_id, known))


def _ended(
    operator_id: UUID, station_id: str, known: Known, energy: plausibility.Energy
) -> SessionEnded:
    assert known.ended_at is not None
    return SessionEnded(
        **_state(operator_id, station_id, known),
        ended_at=known.ended_at,
        meter_stop_wh=known.meter_stop_wh,
        energy_wh=energy.energy_wh,
        stop_reason=known.stop_reason,
    )


async def sweep(gateway: Gateway) -> None:
    while True:
        await tell_untold(gateway)
        await asyncio.sleep(SWEEP_S)


async def tell_untold(gateway: Gateway) -> None:
    """Tell the sessions whose missing events did not come within GRACE."""
    for row in await gateway.pool.fetch(sql.UNTOLD):
        await _tell_anyway(gateway, row)


async def _tell_anyway(gateway: Gateway, row: asyncpg.Record) -> None:
    known = sql.known_of(row)
    seq_nos = await gateway.pool.fetchval(sql.SEQ_NOS, row["station_id"], known.ocpp_id)
    absent = missing(known, seq_nos)
    detail = f"events {', '.join(map(str, absent[:20]))} of the station never came"
    lost = Incident(kind="missing_events", detail=detail).model_dump()
    evses = orjson.loads(row["evses"] or "[]")
    power = {evse["evse_id"]: evse.get("max_power_w") for evse in evses}
    known, energy = await _concluded(
        gateway,
        row["station_id"],
        replace(known, incidents=(*known.incidents, lost), revision=known.revision + 1),
        power.get(known.evse_id),
    )
    told = _ended(row["operator_id"], row["station_id"], known, energy)
    columns = sql.values(
        row["operator_id"],
        row["station_id"],
        known,
        row["stop_received_at"],
        energy.energy_wh,
        None,
    )
    # Nobody told it if another replica was faster: the revision has moved on.
    await gateway.pool.execute(sql.WRITE, *columns, None, None, None, _outbox([told]), "[]", False)
    gateway.parts.connections.emitted.set()
