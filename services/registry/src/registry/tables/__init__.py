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
from registry.tables.live import ConnectorLive, EvseSession, GatewayReplica, StationLive
from registry.tables.pending import PendingStation
from registry.tables.places import (
    Connector,
    Evse,
    Location,
    LocationPhoto,
    Station,
    StationTemplate,
)
from registry.tables.qr import QrLogo, QrRevision, QrSettings

__all__ = [
    "Alert",
    "AlertRound",
    "AlertRule",
    "Connector",
    "ConnectorLive",
    "Evse",
    "EvseSession",
    "GatewayReplica",
    "Location",
    "LocationPhoto",
    "Mail",
    "Operator",
    "PendingStation",
    "QrLogo",
    "QrRevision",
    "QrSettings",
    "Station",
    "StationFailure",
    "StationGroup",
    "StationGroupMember",
    "StationLive",
    "StationSubgroup",
    "StationTemplate",
    "Table",
    "Webhook",
    "WebhookDelivery",
]
