"""Simulated OCPP 1.6J chargers."""

from fleet.charger import Charger
from fleet.charging import NeverEnds
from fleet.faults import Faults
from fleet.link import CallFailed, LinkLost, Refused, TimedOut
from fleet.sessions import ChargeResult
from fleet.transaction_queue import QueueFull
from fleet.upkeep import NotReady
from fleet.vehicle import Vehicle

__all__ = [
    "CallFailed",
    "ChargeResult",
    "Charger",
    "Faults",
    "LinkLost",
    "NeverEnds",
    "NotReady",
    "QueueFull",
    "Refused",
    "TimedOut",
    "Vehicle",
]
