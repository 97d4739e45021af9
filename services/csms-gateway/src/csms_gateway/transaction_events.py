"""Transactions of OCPP 2.x: each event stored before it is answered, the session told in full."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg

from common.authorize import AuthorizeAnswer
from common.clock import now
from common.events import Event, Incident, IncidentOpened
from csms_gateway import ad_hoc_payments, clocks, plausibility, transaction_endings, transactions
from csms_gateway import transaction_event_statements as sql
from csms_gateway.authorizing import Undecided, starting
from csms_gateway.charger import Charger
from csms_gateway.event_batches import Update
from csms_gateway.kept_messages import keep_unmatched
from csms_gateway.stored_json import as_json
from csms_gateway.transaction_fold import (
    Known,
    Token,
    begins,
    begins_at_one,
    complete_to,
    missing,
    news,
    waits,
)

log = logging.getLogger(__name__)

TRIES: Final = 5
REMEMBERED_MAX: Final = 16  # transactions a socket; a station has a few at a time
NOBODY: Final = "NoAuthorization"
# Members of Known: of an event that tells nothing but how its transaction goes on, and what alone
# is not worth a write.
GOING_ON: Final = {"charging_state", "details", "newest_seq_no"}
UNWRITTEN: Final = {"newest_seq_no"}

# Makes what an event tells of its session durable; with the moment at which it happened.
Readings = Callable[[Known, datetime], Awaitable[None]]


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


async def store(
    charger: Charger, payload: dict[str, Any], readings: Readings
) -> tuple[Known, AuthorizeAnswer | None]:
    """Store an event and its readings, whatever it says; a repeat is stored once.

    Returns the transaction with the event, and whose the event's id token is. readings makes the
    event's meter values and state durable; called at least once for each event.
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
    # A start is new but for repeats and disorder, which the statement notices.
    look = payload["eventType"] != "Started"
    for _ in range(TRIES):
        known = await _stored(charger, arrived, readings, look=look)
        look = True
        if known:
            if known.ended_at or charger.open_by_evse.get(known.evse_id) != known.session_id:
                # It may be an old one that was kept offline; which is open now, the table knows.
                charger.open_by_evse.pop(known.evse_id, None)
            return known, answer
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
    if paid := await ad_hoc_payments.paid(charger, id_token, kind):
        return paid, Token(id_token, kind, paid.status, None, None), []
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
    token = Token(id_token, kind, answer.status, answer.card_id, answer.user_id, answer.holder)
    if answer.status == "Accepted" or payload["eventType"] == "Ended":
        return answer, token, []
    return answer, token, [Incident(kind="token_refused", detail=answer.why)]


async def _stored(
    charger: Charger, arrived: _Arrived, readings: Readings, *, look: bool
) -> Known | None:
    """The transaction with the event stored; None: somebody else changed it, look again."""
    payload = arrived.payload
    before = charger.transactions.get(arrived.ocpp_id)
    if before is None and look:
        row = await charger.gateway.pool.fetchrow(
            sql.KNOWN, charger.station_id, arrived.ocpp_id, arrived.seq_no,
            as_json(payload),
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
    new = news(known, payload, arrived.settled.at, arrived.token)
    if arrived.incidents:
        found = tuple(incident.model_dump() for incident in arrived.incidents)
        new["incidents"] = known.incidents + found
    after = known._replace(**new)
    after = after._replace(complete_to=complete_to(after, arrived.seq_no))
    late = _late(charger, arrived, known)
    if before and not late and not waits(after) and new.keys() <= GOING_ON:
        changes = not new.keys() <= UNWRITTEN
        stored = await _gone_on(charger, arrived, after, readings, changes=changes)
    else:
        if before:
            # Before an end: its readings must not be missing from a session that has ended.
            await readings(after, arrived.settled.at)
        stored = await _write(charger, after, arrived, late)
        if stored and not before:
            await readings(stored, arrived.settled.at)
    if stored is None:
        return None
    if late:
        charger.gateway.parts.connections.emitted.set()
    _remember(charger, stored)
    return stored


async def _gone_on(
    charger: Charger, arrived: _Arrived, after: Known, readings: Readings, *, changes: bool
) -> Known | None:
    """None: the first answer was lost, the number is used again, or somebody was faster."""
    update = Update(
        charger.station_id, arrived.ocpp_id, arrived.seq_no, charger.operator_id,
        as_json(arrived.payload), arrived.received_at, changes,
        after.revision, after.charging_state, as_json(after.details),
        after.newest_seq_no,
    )  # fmt: skip
    stored = charger.gateway.events.store(update)
    try:
        # Meanwhile. If they fail, the charger says all of it again, and this is a repeat then.
        await readings(after, arrived.settled.at)
    except BaseException:
        stored.cancel()
        raise
    if not await stored:
        return None
    return after._replace(revision=after.revision + 1) if changes else after


async def _missing(charger: Charger, known: Known, arrived: _Arrived) -> tuple[list[int], bool]:
    """The events that have not come of a transaction that has ended, and whether they may yet."""
    if known.complete_to is not None and known.complete_to == known.end_seq_no:
        return [], False
    stored = await charger.gateway.pool.fetchval(sql.SEQ_NOS, charger.station_id, known.ocpp_id)
    seq_nos = [*(stored or []), arrived.seq_no]
    absent = missing(known, seq_nos)
    return absent, bool(absent) and not begins_at_one(known, seq_nos)


def _late(charger: Charger, arrived: _Arrived, known: Known) -> list[Event]:
    """What is told of an event that comes after the session was told as ended."""
    if not known.end_told:
        return []
    detail = f"event {arrived.seq_no} came after the session was told as ended"
    return [_opened(charger, known.session_id, Incident(kind="delivered_late", detail=detail))]


def _opened(charger: Charger, session_id: UUID, incident: Incident) -> IncidentOpened:
    return IncidentOpened(
        operator_id=charger.operator_id,
        session_id=session_id,
        station_id=charger.station_id,
        incident=incident,
    )


def _remember(charger: Charger, known: Known) -> None:
    if len(charger.transactions) >= REMEMBERED_MAX:
        charger.transactions.clear()
    charger.transactions[known.ocpp_id] = known


async def _repeated(
    charger: Charger, arrived: _Arrived, known: Known, readings: Readings, *, same: bool
) -> Known:
    if not same:
        # R3: a station that counts anew after a restart still tells of energy.
        await keep_unmatched(charger, "TransactionEvent", arrived.payload, arrived.received_at)
        detail = f"event {arrived.seq_no} of {arrived.ocpp_id} came again and says something else"
        incident = Incident(kind="seq_no_reused", detail=detail)
        await transactions.open_incident(charger, known.session_id, incident)
    # The first try may have failed after the event was stored; readings have keys of their own.
    await readings(known, arrived.settled.at)
    _remember(charger, known)
    return known


async def _write(
    charger: Charger, known: Known, arrived: _Arrived, told: list[Event]
) -> Known | None:
    """None: somebody else was faster. told: events that go with it."""
    pool = charger.gateway.pool
    told = list(told)
    energy: plausibility.Energy | None = None
    tell_by = None
    known = known._replace(revision=known.revision + 1)
    # Again if its driver is another than was told: who looks at it while it runs sees whose it is.
    if known.token and (not known.start_told or known.token is arrived.token):
        told.append(transaction_endings.started(charger.operator_id, charger.station_id, known))
        known = known._replace(start_told=True)
    if waits(known):
        absent, awaited = await _missing(charger, known, arrived)
        if awaited:
            tell_by = arrived.received_at + transaction_endings.GRACE
        else:
            if absent:
                known = transaction_endings.with_missing(known, absent)
            power_w = charger.station.power_by_evse.get(known.evse_id)
            known, energy = await transaction_endings.concluded(
                charger.gateway, charger.station_id, known, power_w, arrived.payload
            )
            told.append(
                transaction_endings.ended(charger.operator_id, charger.station_id, known, energy)
            )
    detail = f"another session ({known.session_id}) started before this one was stopped"
    left_open = Incident(kind="start_while_open", detail=detail)
    try:
        row = await pool.fetchrow(
            sql.WRITE,
            *sql.values(charger.operator_id, charger.station_id, known, arrived.received_at,
                      energy.energy_wh if energy else None, tell_by),
            arrived.seq_no, as_json(arrived.payload), arrived.received_at,
            # The statement puts in which session it is, and an id.
            transaction_endings.outbox(told),
            _opened(charger, known.session_id, left_open).model_dump_json(),
            arrived.payload["eventType"] == "Started",
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        return None
    if row is None:
        return None
    if told or row["left_open"]:
        charger.gateway.parts.connections.emitted.set()
    return known._replace(reserved=row["reserved"])
