"""Everything registry stores.

What people enter and what events tell are apart: the first has versions, the second is replaced by
whatever is newer.
"""

from registry.tables.alerts import (
    Alert,
    AlertRound,
    AlertRule,
    Mail,
    Operator,
    StationFailure,
    Webhook,
    WebhookDelivery,
)
from registry.tables.declarative import Table
from registry.tables.groups import StationGroup, StationGroupMember, StationSubgroup
from registry.tables.history import ConnectorStanding, StationConnection
from registry.tables.live import (
    CHANGE,
    ConnectorLive,
    EvseMeter,
    EvseSession,
    GatewayReplica,
    LiveChange,
    StationLive,
)
from registry.tables.pending import PendingStation
from registry.tables.places import (
    Connector,
    Evse,
    Location,
    LocationPhoto,
    Station,
    StationTemplate,
)
from registry.tables.public_map import DisplayPrice, MapChange, Tariff
from registry.tables.qr import QrLogo, QrRevision, QrSettings

__all__ = [
    "CHANGE",
    "Alert",
    "AlertRound",
    "AlertRule",
    "Connector",
    "ConnectorLive",
    "ConnectorStanding",
    "DisplayPrice",
    "Evse",
    "EvseMeter",
    "EvseSession",
    "GatewayReplica",
    "LiveChange",
    "Location",
    "LocationPhoto",
    "Mail",
    "MapChange",
    "Operator",
    "PendingStation",
    "QrLogo",
    "QrRevision",
    "QrSettings",
    "Station",
    "StationConnection",
    "StationFailure",
    "StationGroup",
    "StationGroupMember",
    "StationLive",
    "StationSubgroup",
    "StationTemplate",
    "Table",
    "Tariff",
    "Webhook",
    "WebhookDelivery",
]
