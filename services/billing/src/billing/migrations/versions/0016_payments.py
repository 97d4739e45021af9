"""top-ups, refunds, chargebacks, bonuses and bank statements"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import NOISE, audited
from common.migrate import append_only, tenant_walls

revision = "0016"
down_revision = "0015"

KEPT = ("topup", "refund", "chargeback", "bonus", "bank_statement", "bank_entry")


def upgrade() -> None:
    op.create_table(
        "bank_statement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("imported_by", sa.Text(), nullable=False),
        sa.Column(
            "imported_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_statement")),
        sa.UniqueConstraint(
            "operator_id", "digest", name=op.f("uq_bank_statement_operator_id_digest")
        ),
    )
    op.create_index(
        op.f("ix_bank_statement_operator_id_id"),
        "bank_statement",
        ["operator_id", "id"],
        unique=False,
    )
    op.create_table(
        "payment_provider",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_provider")),
        sa.UniqueConstraint("operator_id", name=op.f("uq_payment_provider_operator_id")),
    )
    op.create_table(
        "bonus",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expired_amount", sa.Numeric(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column(
            "made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column(
            "asked", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_bonus_amount")),
        sa.ForeignKeyConstraint(
            ["operator_id", "account_id", "currency"],
            ["account.operator_id", "account.id", "account.currency"],
            name=op.f("fk_bonus_operator_id_account_id_currency"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bonus")),
        sa.UniqueConstraint(
            "operator_id", "idempotency_key", name=op.f("uq_bonus_operator_id_idempotency_key")
        ),
    )
    op.create_index(
        "ix_bonus_expiring",
        "bonus",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("expires_at is not null and expired_at is null"),
    )
    op.create_index(op.f("ix_bonus_operator_id_id"), "bonus", ["operator_id", "id"], unique=False)
    op.create_table(
        "payment_reference",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column(
            "made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_payment_reference_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_payment_reference")),
        sa.UniqueConstraint(
            "operator_id", "reference", name=op.f("uq_payment_reference_operator_id_reference")
        ),
    )
    op.create_table(
        "topup",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("provider_payment_id", sa.Text(), nullable=True),
        sa.Column("redirect_url", sa.Text(), nullable=True),
        sa.Column("checkout_url", sa.Text(), nullable=True),
        sa.Column("next_ask_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column(
            "made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column(
            "asked", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_topup_amount")),
        sa.ForeignKeyConstraint(
            ["operator_id", "account_id", "currency"],
            ["account.operator_id", "account.id", "account.currency"],
            name=op.f("fk_topup_operator_id_account_id_currency"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topup")),
        sa.UniqueConstraint(
            "operator_id", "idempotency_key", name=op.f("uq_topup_operator_id_idempotency_key")
        ),
    )
    op.create_index(op.f("ix_topup_account_id_id"), "topup", ["account_id", "id"], unique=False)
    op.create_index(
        op.f("ix_topup_next_ask_at"),
        "topup",
        ["next_ask_at"],
        unique=False,
        postgresql_where=sa.text("next_ask_at is not null"),
    )
    op.create_index(op.f("ix_topup_operator_id_id"), "topup", ["operator_id", "id"], unique=False)
    op.create_index(
        "uq_topup_payment",
        "topup",
        ["operator_id", "provider", "provider_payment_id"],
        unique=True,
        postgresql_where=sa.text("provider_payment_id is not null"),
    )
    op.create_table(
        "bank_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("bank_reference", sa.Text(), nullable=True),
        sa.Column("end_to_end_id", sa.Text(), nullable=True),
        sa.Column("debtor_name", sa.Text(), nullable=True),
        sa.Column("debtor_iban", sa.Text(), nullable=True),
        sa.Column("remittance", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("topup_id", sa.Uuid(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["bank_statement.id"], name=op.f("fk_bank_entry_statement_id")
        ),
        sa.ForeignKeyConstraint(["topup_id"], ["topup.id"], name=op.f("fk_bank_entry_topup_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_entry")),
        sa.UniqueConstraint("operator_id", "key", name=op.f("uq_bank_entry_operator_id_key")),
    )
    op.create_index(
        op.f("ix_bank_entry_operator_id_state_id"),
        "bank_entry",
        ["operator_id", "state", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_bank_entry_statement_id"), "bank_entry", ["statement_id"], unique=False
    )
    op.create_index(
        op.f("ix_bank_entry_topup_id"),
        "bank_entry",
        ["topup_id"],
        unique=True,
        postgresql_where=sa.text("topup_id is not null"),
    )
    op.create_table(
        "chargeback",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("topup_id", sa.Uuid(), nullable=False),
        sa.Column("provider_chargeback_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_chargeback_amount")),
        sa.ForeignKeyConstraint(
            ["operator_id", "account_id", "currency"],
            ["account.operator_id", "account.id", "account.currency"],
            name=op.f("fk_chargeback_operator_id_account_id_currency"),
        ),
        sa.ForeignKeyConstraint(["topup_id"], ["topup.id"], name=op.f("fk_chargeback_topup_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chargeback")),
        sa.UniqueConstraint(
            "topup_id",
            "provider_chargeback_id",
            name=op.f("uq_chargeback_topup_id_provider_chargeback_id"),
        ),
    )
    op.create_index(
        op.f("ix_chargeback_operator_id_id"), "chargeback", ["operator_id", "id"], unique=False
    )
    op.create_table(
        "refund",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("topup_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("provider_refund_id", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column(
            "made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column(
            "asked", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refund_amount")),
        sa.ForeignKeyConstraint(
            ["operator_id", "account_id", "currency"],
            ["account.operator_id", "account.id", "account.currency"],
            name=op.f("fk_refund_operator_id_account_id_currency"),
        ),
        sa.ForeignKeyConstraint(["topup_id"], ["topup.id"], name=op.f("fk_refund_topup_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint(
            "operator_id", "idempotency_key", name=op.f("uq_refund_operator_id_idempotency_key")
        ),
    )
    op.create_index(op.f("ix_refund_operator_id_id"), "refund", ["operator_id", "id"], unique=False)
    op.create_index(
        "uq_refund_at_provider",
        "refund",
        ["topup_id", "provider_refund_id"],
        unique=True,
        postgresql_where=sa.text("provider_refund_id is not null"),
    )
    op.add_column("operator", sa.Column("payee", sa.Text(), nullable=True))
    op.add_column("operator", sa.Column("iban", sa.Text(), nullable=True))
    op.add_column("operator", sa.Column("bic", sa.Text(), nullable=True))
    tenant_walls(*KEPT, "payment_provider", "payment_reference")
    for table in KEPT:
        op.execute(f"revoke delete on {table} from csms_billing")
    append_only("payment_reference", service="billing")
    audited("refund", "chargeback", "bonus", "bank_statement", "bank_entry")
    audited("topup", noise=(*NOISE, "next_ask_at", "asked_at"))
    audited("payment_provider", secret=("sealed_secret",))
