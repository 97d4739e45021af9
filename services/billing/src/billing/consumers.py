"""What billing does when something happens elsewhere; running_cost.py has the rest."""

from typing import Final

from billing.incidents import note_incident
from billing.operators import keep_operator
from billing.sessions import end_session
from common.events import (
    IncidentOpened,
    OperatorChanged,
    SessionEnded,
)
from common.inbox import Handlers

HANDLERS: Final[Handlers] = {
    OperatorChanged: keep_operator,
    SessionEnded: end_session,
    IncidentOpened: note_incident,
}
