"""What billing does when something happens elsewhere."""

from typing import Final

from billing.incidents import note_incident
from billing.meter import keep_readings
from billing.operators import keep_operator
from billing.sessions import begin_session, end_session
from common.events import (
    IncidentOpened,
    MeterValuesReported,
    OperatorChanged,
    SessionEnded,
    SessionStarted,
)
from common.inbox import Handlers

HANDLERS: Final[Handlers] = {
    OperatorChanged: keep_operator,
    SessionStarted: begin_session,
    SessionEnded: end_session,
    IncidentOpened: note_incident,
    MeterValuesReported: keep_readings,
}
