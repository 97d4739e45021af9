"""What billing does when something happens elsewhere; running_cost.py has the rest."""

from typing import Final

from billing import privacy
from billing.incidents import note_incident
from billing.operators import keep_operator
from billing.partners import keep_partner
from billing.sessions import end_session
from billing.stations import keep_station
from common import station_groups
from common.events import (
    IncidentOpened,
    OperatorChanged,
    PartnerChanged,
    PersonalDataRequested,
    PersonErased,
    SessionEnded,
    StationChanged,
    StationGroupChanged,
    StationGroupMembersChanged,
)
from common.inbox import Handlers

HANDLERS: Final[Handlers] = {
    OperatorChanged: keep_operator,
    PartnerChanged: keep_partner,
    StationChanged: keep_station,
    StationGroupChanged: station_groups.keep_group,
    StationGroupMembersChanged: station_groups.keep_members,
    SessionEnded: end_session,
    IncidentOpened: note_incident,
    PersonalDataRequested: privacy.collect,
    PersonErased: privacy.erase,
}
