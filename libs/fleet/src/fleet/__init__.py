"""Simulated OCPP 1.6J, 2.0.1 and 2.1 chargers."""

from fleet.certificates import ClientCertificate
from fleet.charger import Charger
from fleet.charging import NeverEnds
from fleet.connectors import ChargeResult
from fleet.faults import Faults
from fleet.link import CallFailed, LinkLost, Refused, TimedOut
from fleet.transaction_queue import QueueFull
from fleet.upkeep import NotReady
from fleet.vehicle import Vehicle

__all__ = [
    "CallFailed",
    "ChargeResult",
    "Charger",
    "ClientCertificate",
    "Faults",
    "LinkLost",
    "NeverEnds",
    "NotReady",
    "QueueFull",
    "Refused",
    "TimedOut",
    "Vehicle",
]
