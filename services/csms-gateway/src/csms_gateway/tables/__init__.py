"""Everything csms-gateway stores, a module a theme. Table.metadata knows all of it."""

from csms_gateway.tables.command import CHANGE, REQUEST_ID, Command
from csms_gateway.tables.declarative import TRANSACTION_ID_MAX, Table
from csms_gateway.tables.message import Message, Notification
from csms_gateway.tables.station import Connection, GatewayReplica, Station
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
    "Command",
    "Connection",
    "GatewayReplica",
    "Message",
    "Notification",
    "SignedMessage",
    "Station",
    "Table",
    "Transaction",
    "TransactionEvent",
    "UnmatchedMessage",
]
