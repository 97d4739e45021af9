"""Sessions of OCPP 2.x that have ended: what they took, and that they are told in the end.

A session is told as ended once all its events are there; if some stay away, GRACE later, with an
incident, for a bill must not wait for ever for what a station has lost. One that never had a first
event (transaction_fold.begins_at_one) is told at once, with the same incident: its driver waits for
the cost.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from common.events import Event, Incident, SessionEnded, SessionStarted
from csms_gateway import plausibility
from csms_gateway import transaction_event_statements as sql
from csms_gateway.gateway import Gateway
from csms_gateway.transaction_fold import BEGIN, END, Known, missing, register

log = logging.getLogger(__name__)

GRACE: Final = timedelta(minutes=5)  # what was kept offline arrives within minutes, or not at all
SWEEP_S: Final = 30.0


async def concluded(
    gateway: Gateway,
    station_id: str,
    known: Known,
    power_w: int | None,
    last: dict[str, Any] | None = None,
) -> tuple[Known, plausibility.Energy]:
    """A transaction that has ended, with its energy and what is odd about it.

    last: the event that is about to be stored.
    """
    found: list[Incident] = []
    if known.meter_start_wh is None or known.meter_stop_wh is None:
        known = await _with_nearest(gateway, station_id, known, last)
        detail = "no register reading at its start or end; the nearest were taken, if there are any"
        found.append(Incident(kind="meter_reading_missing", detail=detail))
    assert known.ended_at is not None
    if known.ended_at < known.started_at:
        detail = f"the station says it ended at {known.ended_raw}, before it started"
        found.append(Incident(kind="clock", detail=detail))
        known = known._replace(ended_at=known.started_at)
    assert known.ended_at is not None
    energy = plausibility.energy(
        known.meter_start_wh, known.meter_stop_wh, known.started_at, known.ended_at, power_w
    )
    odd = tuple(incident.model_dump() for incident in (*found, *energy.incidents))
    return known._replace(incidents=known.incidents + odd, end_told=True), energy


def with_missing(known: Known, absent: list[int]) -> Known:
    detail = f"events {', '.join(map(str, absent))} of the station never came"
    lost = Incident(kind="missing_events", detail=detail).model_dump()
    return known._replace(incidents=(*known.incidents, lost))


async def _with_nearest(
    gateway: Gateway, station_id: str, known: Known, last: dict[str, Any] | None
) -> Known:
    rows = await gateway.pool.fetch(sql.READINGS, station_id, known.ocpp_id)
    payloads = {row["seq_no"]: orjson.loads(row["payload"]) for row in rows}
    if last:
        payloads[last["seqNo"]] = last  # which need not be the last that happened
    values = [one for seq_no in sorted(payloads) for one in payloads[seq_no].get("meterValue", [])]
    start, stop = known.meter_start_wh, known.meter_stop_wh
    if start is None:
        start = register(values, BEGIN, any_context=True)
    if stop is None:
        stop = register(values[::-1], END, any_context=True)
    return known._replace(meter_start_wh=start, meter_stop_wh=stop)


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
        "holder": token and token.holder,
        "token_status": token.status if token else "Unknown",
        "started_at": known.started_at,
        "meter_start_wh": known.meter_start_wh,
        "incidents": [Incident(**one) for one in known.incidents],
    }


def started(operator_id: UUID, station_id: str, known: Known) -> SessionStarted:
    return SessionStarted(**_state(operator_id, station_id, known))


def ended(
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


def outbox(told: list[Event]) -> str:
    """As the statements take it: [[id, subject, body], …]."""
    rows = [[str(event.id), event.subject, event.model_dump_json()] for event in told]
    return orjson.dumps(rows).decode()


async def sweep(gateway: Gateway) -> None:
    while True:
        await tell_untold(gateway)
        await asyncio.sleep(SWEEP_S)


async def tell_untold(gateway: Gateway) -> None:
    """Tell the sessions whose missing events did not come within GRACE."""
    for row in await gateway.pool.fetch(sql.UNTOLD):
        try:
            await _tell_anyway(gateway, row)
        except Exception:
            # The others must not wait for one that cannot be told.
            log.exception("session %s could not be told as ended", row["session_id"])
            await gateway.pool.execute(sql.LATER, row["id"])


async def _tell_anyway(gateway: Gateway, row: asyncpg.Record) -> None:
    known = sql.known_of(row)
    seq_nos = await gateway.pool.fetchval(sql.SEQ_NOS, row["station_id"], known.ocpp_id)
    # None, if the last came while the end was written by another socket of the station.
    if absent := missing(known, seq_nos or []):
        known = with_missing(known, absent)
    evses = orjson.loads(row["evses"] or "[]")
    power = {evse["evse_id"]: evse.get("max_power_w") for evse in evses}
    known, energy = await concluded(
        gateway,
        row["station_id"],
        known._replace(revision=known.revision + 1),
        power.get(known.evse_id),
    )
    told = ended(row["operator_id"], row["station_id"], known, energy)
    columns = sql.values(
        row["operator_id"],
        row["station_id"],
        known,
        row["stop_received_at"],
        energy.energy_wh,
        None,
    )
    # Nobody told it if another replica was faster: the revision has moved on.
    await gateway.pool.execute(sql.WRITE, *columns, None, None, None, outbox([told]), None, False)
    gateway.parts.connections.emitted.set()
