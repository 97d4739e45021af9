"""Everything billing stores. Energy in Wh; amounts as exact decimals; moments in UTC.

Tariffs and records are append-only: the service's role may not change or delete them. What may
become known before a session is (incidents, meter readings) has tables of its own, without foreign
keys, so that events may come in any order.
"""

from billing.tables.declarative import Table
from billing.tables.known import Operator, Partner, Station, StationGroup, StationGroupMember
from billing.tables.prices import Agreement, Tariff
from billing.tables.privacy import Tombstone
from billing.tables.sessions import SAMPLE_KEY, Incident, MeterSample, Record, Register, Session
from billing.tables.webhooks import Webhook, WebhookDelivery

__all__ = [
    "SAMPLE_KEY",
    "Agreement",
    "Incident",
    "MeterSample",
    "Operator",
    "Partner",
    "Record",
    "Register",
    "Session",
    "Station",
    "StationGroup",
    "StationGroupMember",
    "Table",
    "Tariff",
    "Tombstone",
    "Webhook",
    "WebhookDelivery",
]
