"""accounting strategies, who has which, and what they need of people, cards and companies"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited
from common.migrate import tenant_walls

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    _people()
    _strategies()
    tenant_walls(
        "person", "user_group", "company", "card", "accounting_strategy", "strategy_assignment"
    )
    audited("accounting_strategy")
    audited("strategy_assignment")


def _people() -> None:
    op.create_table(
        "person",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("group_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_person")),
    )
    op.create_table(
        "user_group",
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_user_group")),
    )
    op.create_table(
        "company",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("vat_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("company_id", name=op.f("pk_company")),
    )
    op.create_table(
        "card",
        sa.Column("card_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("company_id", sa.Uuid(), nullable=True),
        sa.Column("company_master", sa.Boolean(), nullable=False),
        sa.Column("cost_centre_id", sa.Uuid(), nullable=True),
        sa.Column("partner_id", sa.Uuid(), nullable=True),
        sa.Column("accounting_strategy_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("card_id", name=op.f("pk_card")),
    )
    op.create_index(
        "ix_card_master", "card", ["company_id"], postgresql_where=sa.text("company_master")
    )


def _strategies() -> None:
    op.create_table(
        "accounting_strategy",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("tax", sa.Text(), nullable=False),
        sa.Column("payment_method", sa.Text(), nullable=False),
        sa.Column("credit_limit", sa.Numeric(), nullable=True),
        sa.Column("minimum_topup", sa.Numeric(), nullable=True),
        sa.Column("minimum_balance", sa.Numeric(), nullable=True),
        sa.Column("minimum_invoice", sa.Numeric(), nullable=True),
        sa.Column("prepaid_estimate", sa.Numeric(), nullable=True),
        sa.Column("tariffs", postgresql.JSONB(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounting_strategy")),
        sa.UniqueConstraint(
            "operator_id", "name", name=op.f("uq_accounting_strategy_operator_id_name")
        ),
        sa.UniqueConstraint(
            "operator_id", "id", name=op.f("uq_accounting_strategy_operator_id_id")
        ),
    )
    op.create_table(
        "strategy_assignment",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("holder_kind", sa.Text(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=True),
        sa.Column("strategy_id", sa.Uuid(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(holder_kind = 'everybody') = (holder_id is null)",
            name=op.f("ck_strategy_assignment_holder"),
        ),
        sa.ForeignKeyConstraint(
            ["operator_id", "strategy_id"],
            ["accounting_strategy.operator_id", "accounting_strategy.id"],
            name=op.f("fk_strategy_assignment_operator_id_strategy_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategy_assignment")),
        sa.UniqueConstraint(
            "operator_id",
            "holder_kind",
            "holder_id",
            name=op.f("uq_strategy_assignment_operator_id_holder_kind_holder_id"),
        ),
    )
    op.create_index(
        op.f("ix_strategy_assignment_strategy_id"), "strategy_assignment", ["strategy_id"]
    )
    op.create_index(
        "uq_strategy_assignment_everybody",
        "strategy_assignment",
        ["operator_id"],
        unique=True,
        postgresql_where=sa.text("holder_kind = 'everybody'"),
    )
