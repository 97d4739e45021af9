"""Everything csms-gateway stores, a module a theme. Table.metadata knows all of it."""

from csms_gateway.tables.charging_profile import ChargingProfile, InstalledChargingProfile
from csms_gateway.tables.command import CHANGE, REQUEST_ID, Command
from csms_gateway.tables.declarative import TRANSACTION_ID_MAX, Table
from csms_gateway.tables.local_list import LocalList
from csms_gateway.tables.message import Message, Notification
from csms_gateway.tables.reservation import Reservation
from csms_gateway.tables.station import Connection, Station
from csms_gateway.tables.transaction import (
    SignedMessage,
    Transaction,
    TransactionEvent,
    UnmatchedMessage,
)

__all__ = [
    "CHANGE",
    "REQUEST_ID",
    "TRANSACTION_ID_MAX",
    "ChargingProfile",
    "Command",
    "Connection",
    "InstalledChargingProfile",
    "LocalList",
    "Message",
    "Notification",
    "Reservation",
    "SignedMessage",
    "Station",
    "Table",
    "Transaction",
    "TransactionEvent",
    "UnmatchedMessage",
]
