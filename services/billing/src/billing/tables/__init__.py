"""Everything billing stores. Energy in Wh; amounts as exact decimals; moments in UTC.

Tariffs and records are append-only: the service's role may not change or delete them. What may
become known before a session is (incidents, meter readings) has tables of its own, without foreign
keys, so that events may come in any order.
"""

from billing.tables.declarative import UUIDS, Table
from billing.tables.discounts import Discount, DiscountGrant, DiscountPreview, QuotaUse
from billing.tables.known import (
    Location,
    Operator,
    Partner,
    Station,
    StationGroup,
    StationGroupMember,
)
from billing.tables.ledger import Account, Balance, Hold, Journal, LedgerFinding, Posting
from billing.tables.payments import (
    BankEntry,
    BankStatement,
    Bonus,
    Chargeback,
    PaymentProvider,
    PaymentReference,
    Refund,
    Topup,
)
from billing.tables.people import Card, Company, Membership, Person, UserGroup
from billing.tables.prices import Agreement, Tariff
from billing.tables.pricing import (
    AccountingStrategy,
    DisplayChange,
    DisplayPrice,
    DisplayRound,
    StrategyAssignment,
)
from billing.tables.privacy import Tombstone
from billing.tables.reviews import Decision, Dispute
from billing.tables.sessions import (
    SAMPLE_KEY,
    ChargingState,
    Incident,
    MeterSample,
    Record,
    Register,
    Session,
)
from billing.tables.signed import MeterKey, SignedReading, Verification
from billing.tables.webhooks import Webhook, WebhookDelivery

__all__ = [
    "SAMPLE_KEY",
    "UUIDS",
    "Account",
    "AccountingStrategy",
    "Agreement",
    "Balance",
    "BankEntry",
    "BankStatement",
    "Bonus",
    "Card",
    "Chargeback",
    "ChargingState",
    "Company",
    "Decision",
    "Discount",
    "DiscountGrant",
    "DiscountPreview",
    "DisplayChange",
    "DisplayPrice",
    "DisplayRound",
    "Dispute",
    "Hold",
    "Incident",
    "Journal",
    "LedgerFinding",
    "Location",
    "Membership",
    "MeterKey",
    "MeterSample",
    "Operator",
    "Partner",
    "PaymentProvider",
    "PaymentReference",
    "Person",
    "Posting",
    "QuotaUse",
    "Record",
    "Refund",
    "Register",
    "Session",
    "SignedReading",
    "Station",
    "StationGroup",
    "StationGroupMember",
    "StrategyAssignment",
    "Table",
    "Tariff",
    "Tombstone",
    "Topup",
    "UserGroup",
    "Verification",
    "Webhook",
    "WebhookDelivery",
]
