"""Everything registry stores.

What people enter and what events tell are apart: the first has versions, the second is replaced by
whatever is newer.
"""

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
from registry.tables.public_map import MapChange, Tariff

__all__ = [
    "Connector",
    "ConnectorLive",
    "Evse",
    "EvseSession",
    "GatewayReplica",
    "Location",
    "LocationPhoto",
    "MapChange",
    "PendingStation",
    "Station",
    "StationGroup",
    "StationGroupMember",
    "StationLive",
    "StationSubgroup",
    "StationTemplate",
    "Table",
    "Tariff",
]
