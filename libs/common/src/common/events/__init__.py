"""Every event that crosses a service boundary: the published language of the suite.

Subjects are csms.<noun>.<past tense>.v<n>. Handlers may see events twice and in any order, so
entity events carry the whole state and a version that only grows.
"""

from common.events.audit import ChangeNote, ChangesNoted
from common.events.billing import (
    AgreedPlace,
    AgreementChanged,
    RecordClosed,
    RecordLine,
    SessionCostUpdated,
    TariffChanged,
    TariffPrices,
)
from common.events.event import (
    Event,
    Part,
    StationId,
)
from common.events.gateway import (
    BootReport,
    BootsReported,
    ConnectionReport,
    ConnectionsReported,
    ConnectorStatus,
    GatewayBeat,
    Incident,
    IncidentKind,
    IncidentOpened,
    MeterReport,
    MeterSample,
    MeterValuesReported,
    SessionEnded,
    SessionStarted,
    SessionState,
    StationDiscovered,
    StatusesReported,
    StatusReport,
)
from common.events.identity import (
    CardChanged,
    CardsImported,
    CardState,
    CompanyChanged,
    CostCentreChanged,
    OperatorChanged,
    PartnerChanged,
    UserChanged,
    UserGroupChanged,
    UsersImported,
    UserState,
)
from common.events.privacy import (
    ErasureReported,
    PersonalDataCollected,
    PersonalDataRequested,
    PersonErased,
    PersonsCard,
    RetentionReported,
)
from common.events.registry import (
    Evse,
    LocationChanged,
    StationChanged,
    StationCredentialSet,
    StationGroupChanged,
    StationGroupMembersChanged,
    StationRefused,
)

EVENTS: dict[str, type[Event]] = {
    event.subject: event
    for event in (
        ChangesNoted,
        OperatorChanged, UserChanged, UsersImported, CardChanged, CardsImported, UserGroupChanged,
        CompanyChanged, CostCentreChanged, PartnerChanged,
        PersonalDataRequested, PersonalDataCollected, PersonErased, ErasureReported,
        RetentionReported,
        LocationChanged, StationChanged, StationCredentialSet, StationRefused,
        StationGroupChanged, StationGroupMembersChanged,
        GatewayBeat, ConnectionsReported, BootsReported, StationDiscovered, StatusesReported,
        MeterValuesReported, SessionStarted, SessionEnded, IncidentOpened,
        TariffChanged, AgreementChanged, SessionCostUpdated, RecordClosed,
    )
}  # fmt: skip

# Told over plain NATS: one that is lost is followed by the next. A stream would be full of them.
PASSING: frozenset[str] = frozenset({SessionCostUpdated.subject})

__all__ = [
    "EVENTS",
    "PASSING",
    "AgreedPlace",
    "AgreementChanged",
    "BootReport",
    "BootsReported",
    "CardChanged",
    "CardState",
    "CardsImported",
    "ChangeNote",
    "ChangesNoted",
    "CompanyChanged",
    "ConnectionReport",
    "ConnectionsReported",
    "ConnectorStatus",
    "CostCentreChanged",
    "ErasureReported",
    "Event",
    "Evse",
    "GatewayBeat",
    "Incident",
    "IncidentKind",
    "IncidentOpened",
    "LocationChanged",
    "MeterReport",
    "MeterSample",
    "MeterValuesReported",
    "OperatorChanged",
    "Part",
    "PartnerChanged",
    "PersonErased",
    "PersonalDataCollected",
    "PersonalDataRequested",
    "PersonsCard",
    "RecordClosed",
    "RecordLine",
    "RetentionReported",
    "SessionCostUpdated",
    "SessionEnded",
    "SessionStarted",
    "SessionState",
    "StationChanged",
    "StationCredentialSet",
    "StationDiscovered",
    "StationGroupChanged",
    "StationGroupMembersChanged",
    "StationId",
    "StationRefused",
    "StatusReport",
    "StatusesReported",
    "TariffChanged",
    "TariffPrices",
    "UserChanged",
    "UserGroupChanged",
    "UserState",
    "UsersImported",
]
