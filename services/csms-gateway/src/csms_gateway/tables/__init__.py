"""Everything csms-gateway stores, a module a theme. Table.metadata knows all of it."""

from csms_gateway.tables.certificate import (
    CertificateAuthority,
    InstalledCertificate,
    IssuedCertificate,
    OperatorName,
    RefusedStation,
)
from csms_gateway.tables.charging_profile import ChargingProfile, InstalledChargingProfile
from csms_gateway.tables.command import CHANGE, REQUEST_ID, Command
from csms_gateway.tables.declarative import TRANSACTION_ID_MAX, Table
from csms_gateway.tables.local_list import LocalList
from csms_gateway.tables.message import Message, Notification
from csms_gateway.tables.ocpp21 import DynamicSchedule, EventStream, StrategyAssignment, Tariff
from csms_gateway.tables.reservation import Reservation
from csms_gateway.tables.station import Connection, GatewayReplica, Station
from csms_gateway.tables.transaction import (
    SignedMessage,
    Tombstone,
    Transaction,
    TransactionEvent,
    UnmatchedMessage,
)
from csms_gateway.tables.variable import Variable

__all__ = [
    "CHANGE",
    "REQUEST_ID",
    "TRANSACTION_ID_MAX",
    "CertificateAuthority",
    "ChargingProfile",
    "Command",
    "Connection",
    "DynamicSchedule",
    "EventStream",
    "GatewayReplica",
    "InstalledCertificate",
    "InstalledChargingProfile",
    "IssuedCertificate",
    "LocalList",
    "Message",
    "Notification",
    "OperatorName",
    "RefusedStation",
    "Reservation",
    "SignedMessage",
    "Station",
    "StrategyAssignment",
    "Table",
    "Tariff",
    "Tombstone",
    "Transaction",
    "TransactionEvent",
    "UnmatchedMessage",
    "Variable",
]
