"""The ledger: accounts, journals that sum to zero, and what is held of an account.

An amount above zero is a credit (what the operator owes or has earned), one below zero a debit
(what it has or is owed). So a customer's balance above zero is money in the wallet, below zero what
the customer owes.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Key, SetNow, Table
from common.single import VersionedColumns


class Account(VersionedColumns, Table):
    """A customer's, or one of the operator's own (its balance is the sum of its postings alone)."""

    __tablename__ = "account"
    __table_args__ = (
        # Postings refer to it: what is posted to an account is in its currency.
        UniqueConstraint("operator_id", "id", "currency"),
        Index(
            "uq_account_of_owner",
            "operator_id",
            "owner_kind",
            "owner_id",
            "currency",
            unique=True,
            postgresql_where=text("kind = 'customer'"),
        ),
        Index(
            "uq_account_own",
            "operator_id",
            "kind",
            "detail",
            "currency",
            unique=True,
            postgresql_where=text("kind <> 'customer'"),
        ),
        Index(None, "operator_id", "id"),
        CheckConstraint("credit_limit >= 0", name="credit_limit"),
        CheckConstraint("floor >= 0", name="floor"),
        CheckConstraint("minimum >= 0", name="minimum"),
        CheckConstraint(
            "(kind = 'customer') = (owner_id is not null and owner_kind is not null)", name="owner"
        ),
    )

    operator_id: Mapped[UUID]
    kind: Mapped[str]  # billing.ledger.entries.AccountKind
    detail: Mapped[str] = mapped_column(server_default="")  # of the operator's own: the VAT rate, …
    owner_kind: Mapped[str | None]  # user, company, card, partner
    owner_id: Mapped[UUID | None]
    currency: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="open")  # open, blocked, closed
    state_reason: Mapped[str | None]
    chargeback: Mapped[bool] = mapped_column(server_default=text("false"))  # why it is blocked
    limit_reason: Mapped[str | None]  # of the last change
    credit_limit: Mapped[Decimal | None]  # None: none, as for customers who pay by invoice
    # How far below the limit a prepaid session that is stopped late may take it; None: without end.
    floor: Mapped[Decimal | None]
    minimum: Mapped[Decimal] = mapped_column(server_default=text("0"))  # to begin a session with
    strategy_id: Mapped[UUID | None]
    # What was told last of whether it may charge.
    may_charge: Mapped[bool] = mapped_column(server_default=text("true"))
    standing_reason: Mapped[str | None]
    standing_version: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[SetNow]


class Balance(Table):
    """Of a customer's account; kept by a trigger of posting, and by holds."""

    __tablename__ = "balance"
    __table_args__ = (
        ForeignKeyConstraint(["account_id"], ["account.id"]),
        CheckConstraint("bonus >= 0", name="bonus"),
        CheckConstraint("held >= 0", name="held"),
    )

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    posted: Mapped[Decimal] = mapped_column(server_default=text("0"))  # money
    bonus: Mapped[Decimal] = mapped_column(server_default=text("0"))  # given, not refundable
    held: Mapped[Decimal] = mapped_column(server_default=text("0"))  # of both


class Journal(Table):
    """One thing that happened, booked once; never changed."""

    __tablename__ = "journal"
    __table_args__ = (
        UniqueConstraint("operator_id", "event_id"),
        Index(None, "operator_id", "id"),
        Index(None, "record_id", postgresql_where=text("record_id is not null")),
        Index(None, "payment_id", postgresql_where=text("payment_id is not null")),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    event_id: Mapped[str]  # what happened: of it there is one journal
    kind: Mapped[str]  # billing.ledger.entries.JournalKind
    at: Mapped[datetime]  # when it happened
    booked_at: Mapped[SetNow]
    memo: Mapped[str]
    booked_by: Mapped[str]  # the login of the staff, or the service
    record_id: Mapped[UUID | None]
    payment_id: Mapped[UUID | None]
    # How many postings it has: none can be added later.
    postings: Mapped[int] = mapped_column(SmallInteger)


class Posting(Table):
    """An amount of a journal on an account; never changed."""

    __tablename__ = "posting"
    __table_args__ = (
        ForeignKeyConstraint(["journal_id"], ["journal.id"]),
        ForeignKeyConstraint(
            ["operator_id", "account_id", "currency"],
            ["account.operator_id", "account.id", "account.currency"],
        ),
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint("purse in ('money', 'bonus')", name="purse"),
        Index(None, "account_id", "journal_id"),
        Index(None, "journal_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    operator_id: Mapped[UUID]
    journal_id: Mapped[UUID]
    account_id: Mapped[UUID]
    currency: Mapped[str]
    purse: Mapped[str] = mapped_column(server_default="money")
    amount: Mapped[Decimal]


class Hold(Table):
    """A part of an account's balance that a session or a payment may still need."""

    __tablename__ = "hold"
    __table_args__ = (
        UniqueConstraint("operator_id", "key"),
        ForeignKeyConstraint(["account_id"], ["balance.account_id"]),
        CheckConstraint("amount >= 0", name="amount"),
        Index("ix_hold_of_account", "account_id", "id"),
        Index("ix_hold_open", "expires_at", postgresql_where=text("state = 'held'")),
        Index(
            "ix_hold_to_stop",
            "stop_wanted_at",
            postgresql_where=text("stop_wanted_at is not null and stop_settled_at is null"),
        ),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    account_id: Mapped[UUID]
    key: Mapped[str]  # session:<id>, or what a payment calls itself
    session_id: Mapped[UUID | None]
    amount: Mapped[Decimal]  # held now; once it is over, what was held last
    state: Mapped[str] = mapped_column(server_default="held")  # held, settled, released, expired
    made_at: Mapped[SetNow]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    # Of a session that costs more than there is: its station is told to stop it.
    stop_wanted_at: Mapped[datetime | None]
    stop_settled_at: Mapped[datetime | None]  # the command is stored, or was refused
    stop_reason: Mapped[str | None]
    stop_tries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))


class LedgerFinding(Table):
    """What the checks of the ledger found, and what money could not be had of; for staff."""

    __tablename__ = "ledger_finding"
    __table_args__ = (
        UniqueConstraint("operator_id", "kind", "subject"),
        Index(None, "operator_id", "id"),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    kind: Mapped[str]  # billing.ledger.findings.Kind
    subject: Mapped[str]  # what it is about; of a kind it is there once
    account_id: Mapped[UUID | None]
    session_id: Mapped[UUID | None]
    detail: Mapped[str]
    found_at: Mapped[SetNow]
    seen_at: Mapped[SetNow]  # last
    resolved_at: Mapped[datetime | None]  # the check did not find it again
