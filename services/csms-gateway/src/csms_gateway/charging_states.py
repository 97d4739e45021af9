"""Whether the car of a session takes power, as its charger says, told to the others.

Billing needs it for parking time, so each state is told with the session that it is of. A station
of OCPP 1.6 tells states of connectors: they are those of the session that is open there. What it
tells before the start of its session, as after a time offline, is told when the start is known.
"""

from collections import deque
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.clock import now
from common.events import (
    ChargingState,
    ChargingStateReport,
    ChargingStatesReported,
    ConnectorStatus,
    StatusReport,
)
from csms_gateway import transactions
from csms_gateway.charger import Charger
from csms_gateway.transaction_fold import Known

OF_2X: Final[dict[str, ChargingState]] = {
    "Charging": "charging",
    "SuspendedEV": "suspended_ev",
    "SuspendedEVSE": "suspended_evse",
    "EVConnected": "connected",
    "Idle": "idle",
}
OF_STATUS: Final[dict[ConnectorStatus, ChargingState]] = {
    "charging": "charging",
    "suspended_ev": "suspended_ev",
    "suspended_evse": "suspended_evse",
    "preparing": "connected",
    "finishing": "connected",
    "available": "idle",
    # The station gives no power, whatever the car asks for.
    "unavailable": "suspended_evse",
    "faulted": "suspended_evse",
}
NO_CAR: Final = {"connected", "idle"}  # of before a session, nothing that holds in it
SESSIONS_MAX: Final = 16  # a socket; a station has a few at a time
# What a socket remembers of connectors without a session, so that none can fill the memory.
CONNECTORS_MAX: Final = 64
EARLY_MAX: Final = 16  # states a connector


class Newest(NamedTuple):
    """The newest state of a session that was told on a socket."""

    seq_no: int
    at: datetime
    state: ChargingState


class Early(NamedTuple):
    """A state of a connector on which no session is known."""

    at: datetime
    received_at: datetime
    state: ChargingState


async def of_event(charger: Charger, known: Known, payload: dict[str, Any], at: datetime) -> None:
    """Of a TransactionEvent that happened at this moment. Return when its state is durable.

    Many stations repeat the state with each reading: one that only goes on, with no event missing
    before it, is not told again.
    """
    seq_no = payload["seqNo"]
    state = OF_2X.get(payload["transactionInfo"].get("chargingState", ""))
    newest = charger.charging_states.get(known.session_id)
    if newest and (newest.seq_no + 1 != seq_no or at < newest.at):
        newest = None
    if state and (newest is None or state != newest.state):
        await _tell(charger, known.evse_id, known.session_id, Early(at, now(), state))
        newest = Newest(seq_no, at, state)
    charger.charging_states.pop(known.session_id, None)
    if newest and payload["eventType"] != "Ended":
        if len(charger.charging_states) >= SESSIONS_MAX:
            charger.charging_states.clear()
        charger.charging_states[known.session_id] = newest._replace(seq_no=seq_no, at=at)


async def of_connector(charger: Charger, report: StatusReport) -> None:
    """Of a StatusNotification of OCPP 1.6. Return when its state is durable."""
    state = OF_STATUS.get(report.status)
    if not report.evse_id or state is None:
        return
    # Free connectors have no session but one that its end is still awaited of: no query for them.
    session = charger.open_by_evse.get(report.evse_id)
    if state != "idle":
        session = await transactions.session_of(charger, None, report.evse_id, {})
    told = Early(report.reported_at, report.received_at, state)
    if session is None:
        _keep(charger, report.evse_id, told)
    else:
        await _tell(charger, report.evse_id, session, told)


def _keep(charger: Charger, evse_id: int, told: Early) -> None:
    early = charger.early_states
    if evse_id not in early and len(early) >= CONNECTORS_MAX:
        early.clear()
    early.setdefault(evse_id, deque(maxlen=EARLY_MAX)).append(told)


async def before_start(
    charger: Charger, evse_id: int, session_id: UUID, started_at: datetime
) -> None:
    """What a connector was told to be before the start of its session was. Return when durable."""
    early = sorted(charger.early_states.get(evse_id, ()))
    within = [one for one in early if one.at >= started_at]
    before = early[: len(early) - len(within)][-1:]
    # A car that takes no more when the session begins: its state is older than the session.
    for one in (*(one for one in before if one.state not in NO_CAR), *within):
        await _tell(charger, evse_id, session_id, one)
    charger.early_states.pop(evse_id, None)


async def _tell(charger: Charger, evse_id: int, session_id: UUID, told: Early) -> None:
    await charger.gateway.publisher.report(
        ChargingStatesReported,
        ChargingStateReport(
            operator_id=charger.operator_id,
            station_id=charger.station_id,
            evse_id=evse_id,
            session_id=session_id,
            at=told.at,
            received_at=told.received_at,
            state=told.state,
        ),
    )
