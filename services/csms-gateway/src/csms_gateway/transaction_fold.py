"""Pure: an OCPP 2.x transaction as the sum of the events known of it, in whatever order they came.

Each fact comes from one kind of event (the start from Started, the end from Ended, the driver from
the first event with an id token that is accepted, else from the first with any), so the sum does
not depend on the order (2.0.1, E04, E12). Only what a station may tell again and again, its state
and details, is that of the newest event.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.authorize import Holder
from csms_gateway import readings
from csms_gateway.integers import INTEGER_END

BEGIN: Final = "Transaction.Begin"
END: Final = "Transaction.End"
LOCAL: Final = "Local"  # what it means when no reason is given (2.0.1, E06.FR.09)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)  # of a reading whose time does not matter
ACCEPTED: Final = "Accepted"
# Who shows a card to end a session need not be who began it.
STOPS: Final = {"StopAuthorized", "Deauthorized", "RemoteStop"}
# What a station tells once, or again when it changes (2.1, E02, E16 and I12): the newest counts.
OF_TRANSACTION: Final = ("tariffId", "transactionLimit", "operationMode")
OF_EVENT: Final = ("costDetails", "preconditioningStatus", "evseSleep")
NO_DETAILS: Final[dict[str, Any]] = {}  # details are never changed in place
MISSING_MAX: Final = 20  # numbers; a station may jump from 0 to 2,000,000,000


@dataclass(frozen=True, slots=True)
class Token:
    """Who charges, as identity answered when the event came in."""

    id_token: str
    type: str
    status: str
    card_id: UUID | None
    user_id: UUID | None
    holder: Holder | None = None


class Known(NamedTuple):
    """What is known of a transaction: a row of the table transaction.

    A tuple, since it is made anew with every event, and a data class takes six times as long.
    """

    session_id: UUID
    ocpp_id: str
    started_at: datetime  # of the first event until Started is there
    started_raw: str
    evse_id: int = 0
    connector_id: int = 0
    token: Token | None = None
    start_seen: bool = False
    start_seq_no: int = 0
    meter_start_wh: int | None = None
    ended_at: datetime | None = None
    ended_raw: str | None = None
    end_seq_no: int | None = None
    meter_stop_wh: int | None = None
    stop_reason: str | None = None
    charging_state: str | None = None
    # Each by OCPP's name: {"tariffId": …, "transactionLimit": {"maxCost": …}, "costDetails": …}
    details: dict[str, Any] = NO_DETAILS
    # Of the newest event, so that a late one does not undo it. Written when something else is.
    newest_seq_no: int = -1
    remote_start_id: int | None = None
    reservation_id: int | None = None
    incidents: tuple[dict[str, Any], ...] = ()
    start_told: bool = False
    end_told: bool = False
    revision: int = 0
    # Only in memory: every event up to this number came in on this socket.
    complete_to: int | None = None
    # The station has or had a reservation that it may use.
    reserved: bool = True


def news(
    known: Known, payload: dict[str, Any], at: datetime, token: Token | None
) -> dict[str, Any]:
    """What an event changes of its transaction, by the members of Known.

    payload: a TransactionEventRequest; at: settled.
    """
    info, evse = payload["transactionInfo"], payload.get("evse") or {}
    kind, seq_no, raw = payload["eventType"], payload["seqNo"], payload["timestamp"]
    found = payload.get("meterValue", [])
    started = kind == "Started"
    new: dict[str, Any] = {
        "evse_id": known.evse_id or evse.get("id", 0),
        "connector_id": known.connector_id or evse.get("connectorId", 0),
        "remote_start_id": _integer(info.get("remoteStartId"), known.remote_start_id),
        "reservation_id": _integer(payload.get("reservationId"), known.reservation_id),
    }
    new |= _newest(known, payload)
    if token and begins(payload) and (known.token is None or _replaces(token, known)):
        new["token"] = token
    if known.meter_start_wh is None:
        new["meter_start_wh"] = register(found, BEGIN, any_context=started)
    if started and not known.start_seen:
        new |= {"start_seen": True, "started_at": at, "started_raw": raw, "start_seq_no": seq_no}
    elif not known.start_seen and at < known.started_at:
        new |= {"started_at": at, "started_raw": raw}
    if kind == "Ended" and known.ended_at is None:
        new |= {
            "ended_at": at,
            "ended_raw": raw,
            "end_seq_no": seq_no,
            "meter_stop_wh": register(found[::-1], END, any_context=True),
            "stop_reason": readings.short(info.get("stoppedReason", LOCAL)),
        }
    return {name: value for name, value in new.items() if value != getattr(known, name)}


def _replaces(token: Token, known: Known) -> bool:
    """Whoever is let in after another was refused is who charges: the other may not pay for it."""
    refused = known.token is not None and known.token.status != ACCEPTED
    return refused and token.status == ACCEPTED and not known.end_told


def _newest(known: Known, payload: dict[str, Any]) -> dict[str, Any]:
    info = payload["transactionInfo"]
    told = {name: info[name] for name in OF_TRANSACTION if name in info}
    told |= {name: payload[name] for name in OF_EVENT if name in payload}
    if not told and "chargingState" not in info:
        return {}
    if payload["seqNo"] < known.newest_seq_no:
        # Late: only what nothing newer has told.
        return {
            "charging_state": known.charging_state or info.get("chargingState"),
            "details": told | known.details,
        }
    return {
        "charging_state": info.get("chargingState", known.charging_state),
        "details": known.details | told,
        "newest_seq_no": payload["seqNo"],
    }


def complete_to(known: Known, seq_no: int) -> int | None:
    """Known.complete_to, once the event of this number is stored and in known."""
    begins_here = known.start_seen and seq_no == known.start_seq_no
    return seq_no if begins_here or known.complete_to == seq_no - 1 else known.complete_to


def waits(known: Known) -> bool:
    """Whether it has ended, but is not told so: events before its end may yet come."""
    return known.ended_at is not None and not known.end_told


def _integer(value: int | None, other: int | None) -> int | None:
    """One that the database can hold; what we gave out always is."""
    return other if value is None or abs(value) >= INTEGER_END else value


def begins(payload: dict[str, Any]) -> bool:
    """Whether the event's id token is of who charges, not of who ends it."""
    return payload["eventType"] != "Ended" and payload["triggerReason"] not in STOPS


def missing(known: Known, seq_nos: Iterable[int]) -> list[int]:
    """The first numbers of the events that have not come, of a transaction that has ended.

    Some stations count from 1, so only what lies between start and end counts.
    """
    assert known.end_seq_no is not None
    expected = known.start_seq_no if known.start_seen else 0
    absent: list[int] = []
    for seq_no in sorted({one for one in seq_nos if expected <= one <= known.end_seq_no}):
        absent.extend(range(expected, min(seq_no, expected + MISSING_MAX)))
        expected = seq_no + 1
        if len(absent) >= MISSING_MAX:
            break
    return absent[:MISSING_MAX]


def begins_at_one(known: Known, in_arrival_order: list[int]) -> bool:
    """Whether nothing is to be waited for although the number 0 is missing.

    Some stations call their first event Updated and number it 1. A bill needs the register, the
    driver and the time of the start: this holds if the events say all that and came one after the
    other, so that a 0 would have come before them. Otherwise it may still be in the queue.
    """
    if known.start_seen or known.meter_start_wh is None or known.token is None:
        return False
    assert known.end_seq_no is not None
    return known.end_seq_no > 1 and in_arrival_order == list(range(1, len(in_arrival_order) + 1))


def register(
    meter_values: list[dict[str, Any]], context: str, *, any_context: bool = False
) -> int | None:
    """The reading of the whole EVSE's energy register in Wh, half up.

    The one of this context; with any_context else the first. A phase's register is not the sum.
    """
    other = None
    for one in meter_values:
        for sampled in one.get("sampledValue", ()):
            if sampled.get("measurand", readings.REGISTER) != readings.REGISTER:
                continue
            if "phase" in sampled or sampled.get("location", "Outlet") != "Outlet":
                continue
            unit = sampled.get("unitOfMeasure", {})
            name, exponent = unit.get("unit", ""), unit.get("multiplier", 0)
            read = readings.sample(sampled, str(sampled["value"]), name, EPOCH, exponent)
            if read is None or read["unit"] != "Wh":
                continue
            wh = int(Decimal(read["value"]).to_integral_value(ROUND_HALF_UP))
            if abs(wh) > readings.REGISTER_MAX:
                continue
            if sampled.get("context") == context:
                return wh
            other = wh if other is None else other
    return other if any_context else None
