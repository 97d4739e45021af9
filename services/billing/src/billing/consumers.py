"""What billing does when something happens elsewhere; running_cost.py has the rest."""

from typing import Final

from billing import people, privacy
from billing.incidents import note_incident
from billing.operators import keep_operator
from billing.partners import keep_partner
from billing.sessions import end_session
from billing.signed.keeping import keep_signed
from billing.stations import keep_location, keep_station
from common import station_groups
from common.events import (
    CardChanged,
    CardsImported,
    CompanyChanged,
    IncidentOpened,
    LocationChanged,
    OperatorChanged,
    PartnerChanged,
    PersonalDataRequested,
    PersonErased,
    SessionEnded,
    SignedReadingsReported,
    StationChanged,
    StationGroupChanged,
    StationGroupMembersChanged,
    UserChanged,
    UserGroupChanged,
    UsersImported,
)
from common.inbox import Handlers

HANDLERS: Final[Handlers] = {
    OperatorChanged: keep_operator,
    PartnerChanged: keep_partner,
    CardChanged: people.keep_card,
    CardsImported: people.keep_cards,
    CompanyChanged: people.keep_company,
    UserChanged: people.keep_user,
    UserGroupChanged: people.keep_user_group,
    UsersImported: people.keep_users,
    LocationChanged: keep_location,
    StationChanged: keep_station,
    StationGroupChanged: station_groups.keep_group,
    StationGroupMembersChanged: station_groups.keep_members,
    SignedReadingsReported: keep_signed,
    SessionEnded: end_session,
    IncidentOpened: note_incident,
    PersonalDataRequested: privacy.collect,
    PersonErased: privacy.erase,
}
