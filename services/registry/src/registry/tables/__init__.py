"""Everything registry stores.

What people enter and what events tell are apart: the first has versions, the second is replaced by
whatever is newer.
"""

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
from registry.tables.places import Connector, Evse, Location, Station

__all__ = [
    "CHANGE",
    "Connector",
    "ConnectorLive",
    "ConnectorStanding",
    "Evse",
    "EvseMeter",
    "EvseSession",
    "GatewayReplica",
    "LiveChange",
    "Location",
    "PendingStation",
    "Station",
    "StationConnection",
    "StationGroup",
    "StationGroupMember",
    "StationLive",
    "StationSubgroup",
    "Table",
]
