"""Money that comes in and goes back. What it did to an account's balance is in the ledger."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Key, SetNow, Table
from common.idempotency import AskedOnceColumns
from common.single import VersionedColumns


def _of_account() -> ForeignKeyConstraint:
    """An amount is in its account's currency."""
    return ForeignKeyConstraint(
        ["operator_id", "account_id", "currency"],
        ["account.operator_id", "account.id", "account.currency"],
    )


class _Made(AskedOnceColumns):
    made_by: Mapped[str]  # the login, or the service
    made_at: Mapped[SetNow]


class PaymentProvider(VersionedColumns, Table):
    """By whom an operator is paid online; one each."""

    __tablename__ = "payment_provider"
    __table_args__ = (UniqueConstraint("operator_id"),)

    operator_id: Mapped[UUID]
    kind: Mapped[str]
    endpoint: Mapped[str]
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    active: Mapped[bool]


class PaymentReference(Table):
    """What the customer of an account writes into transfers; there once somebody asked for it."""

    __tablename__ = "payment_reference"
    __table_args__ = (
        UniqueConstraint("operator_id", "reference"),
        ForeignKeyConstraint(["account_id"], ["account.id"]),
    )

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    reference: Mapped[str]
    made_at: Mapped[SetNow]


class Topup(_Made, Table):
    """Money of a customer's that comes in, or is to."""

    __tablename__ = "topup"
    __table_args__ = (
        _of_account(),
        UniqueConstraint("operator_id", "idempotency_key"),
        # One credit a payment, whatever row it is of.
        Index(
            "uq_topup_payment",
            "operator_id",
            "provider",
            "provider_payment_id",
            unique=True,
            postgresql_where=text("provider_payment_id is not null"),
        ),
        CheckConstraint("amount > 0", name="amount"),
        Index(None, "operator_id", "id"),
        Index(None, "account_id", "id"),
        Index(None, "next_ask_at", postgresql_where=text("next_ask_at is not null")),
    )

    id: Mapped[Key]
    account_id: Mapped[UUID]
    way: Mapped[str]  # provider, cash, bank
    amount: Mapped[Decimal]
    currency: Mapped[str]
    state: Mapped[str]  # open, paid, failed, canceled, expired, mismatched
    paid_at: Mapped[datetime | None]  # when it was booked
    # Of cash and transfers.
    receipt: Mapped[str | None]
    reason: Mapped[str | None]
    received_on: Mapped[date | None]
    # Of a provider.
    provider: Mapped[str | None]
    provider_payment_id: Mapped[str | None]
    redirect_url: Mapped[str | None]
    checkout_url: Mapped[str | None]
    next_ask_at: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]
    problem: Mapped[str | None]  # why it was not asked, not made, or is not believed


class Refund(_Made, Table):
    """Money that goes back the way it came. Taken from the account when it is asked for."""

    __tablename__ = "refund"
    __table_args__ = (
        _of_account(),
        ForeignKeyConstraint(["topup_id"], ["topup.id"]),
        UniqueConstraint("operator_id", "idempotency_key"),
        Index(
            "uq_refund_at_provider",
            "topup_id",
            "provider_refund_id",
            unique=True,
            postgresql_where=text("provider_refund_id is not null"),
        ),
        CheckConstraint("amount > 0", name="amount"),
        Index(None, "operator_id", "id"),
    )

    id: Mapped[Key]
    account_id: Mapped[UUID]
    topup_id: Mapped[UUID]
    amount: Mapped[Decimal]
    currency: Mapped[str]
    state: Mapped[str]  # asked, confirmed, failed
    ended_at: Mapped[datetime | None]
    reason: Mapped[str]
    receipt: Mapped[str | None]
    provider_refund_id: Mapped[str | None]
    problem: Mapped[str | None]


class Chargeback(Table):
    """Money that a customer's bank has taken back."""

    __tablename__ = "chargeback"
    __table_args__ = (
        _of_account(),
        ForeignKeyConstraint(["topup_id"], ["topup.id"]),
        UniqueConstraint("topup_id", "provider_chargeback_id"),
        CheckConstraint("amount > 0", name="amount"),
        Index(None, "operator_id", "id"),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    account_id: Mapped[UUID]
    topup_id: Mapped[UUID]
    provider_chargeback_id: Mapped[str]
    amount: Mapped[Decimal]
    currency: Mapped[str]
    reason: Mapped[str | None]
    at: Mapped[datetime]
    found_at: Mapped[SetNow]
    reversed_at: Mapped[datetime | None]  # when it was booked


class Bonus(_Made, Table):
    """Credit that the operator gives; spent before money, and never paid out."""

    __tablename__ = "bonus"
    __table_args__ = (
        _of_account(),
        UniqueConstraint("operator_id", "idempotency_key"),
        CheckConstraint("amount > 0", name="amount"),
        Index(None, "operator_id", "id"),
        Index(
            "ix_bonus_expiring",
            "expires_at",
            postgresql_where=text("expires_at is not null and expired_at is null"),
        ),
    )

    id: Mapped[Key]
    account_id: Mapped[UUID]
    amount: Mapped[Decimal]
    currency: Mapped[str]
    reason: Mapped[str]
    expires_at: Mapped[datetime | None]
    expired_at: Mapped[datetime | None]  # when what was left of it was booked out
    expired_amount: Mapped[Decimal | None]


class BankStatement(Table):
    """A file of a bank's; never changed."""

    __tablename__ = "bank_statement"
    __table_args__ = (
        UniqueConstraint("operator_id", "digest"),
        Index(None, "operator_id", "id"),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    digest: Mapped[str]  # SHA-256 of the file
    imported_by: Mapped[str]
    imported_at: Mapped[SetNow]
    counts: Mapped[dict[str, int]] = mapped_column(JSONB)  # billing.payments.bank_statements.Counts


class BankEntry(Table):
    """A transfer that came in, by a bank's statement."""

    __tablename__ = "bank_entry"
    __table_args__ = (
        ForeignKeyConstraint(["statement_id"], ["bank_statement.id"]),
        ForeignKeyConstraint(["topup_id"], ["topup.id"]),
        # However many statements tell of it.
        UniqueConstraint("operator_id", "key"),
        Index(None, "topup_id", unique=True, postgresql_where=text("topup_id is not null")),
        Index(None, "operator_id", "state", "id"),
        Index(None, "statement_id"),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    statement_id: Mapped[UUID]
    key: Mapped[str]  # billing.payments.camt.Credit
    booked_on: Mapped[date]
    amount: Mapped[Decimal]  # below zero: the bank took it back
    currency: Mapped[str]
    bank_reference: Mapped[str | None]
    end_to_end_id: Mapped[str | None]
    debtor_name: Mapped[str | None]
    debtor_iban: Mapped[str | None]
    remittance: Mapped[str]
    state: Mapped[str]  # matched, unmatched, dismissed
    why: Mapped[str | None]  # it is not matched, or was dismissed
    topup_id: Mapped[UUID | None]
    decided_by: Mapped[str | None]  # None: by its reference
    decided_at: Mapped[datetime | None]
