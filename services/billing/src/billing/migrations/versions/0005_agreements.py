"""whose cards sessions were begun with, and what partners agreed on"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited
from common.migrate import tenant_walls

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _holders()
    _tariffs()
    op.create_table(
        "partner",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_partner")),
    )
    op.create_table(
        "agreement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("places", postgresql.JSONB(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("tariff_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "valid_from <= valid_until", name=op.f("ck_agreement_valid_from_before_until")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id", "tariff_id"],
            ["tariff.operator_id", "tariff.id"],
            name=op.f("fk_agreement_operator_id_tariff_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement")),
        sa.UniqueConstraint("operator_id", "name", name=op.f("uq_agreement_operator_id_name")),
    )
    op.create_index(
        op.f("ix_agreement_operator_id_partner_id"), "agreement", ["operator_id", "partner_id"]
    )
    tenant_walls("partner", "agreement")
    audited("agreement")


def _holders() -> None:
    for table in ("session", "record"):
        op.add_column(table, sa.Column("holder", postgresql.JSONB(), nullable=True))
        for name in ("partner_id", "company_id"):
            computed = sa.Computed(f"(holder->>'{name}')::uuid", persisted=True)
            op.add_column(table, sa.Column(name, sa.Uuid(), computed, nullable=True))
        op.add_column(table, sa.Column("agreement_id", sa.Uuid(), nullable=True))
        op.create_index(
            op.f(f"ix_{table}_partner_id_id"),
            table,
            ["partner_id", "id"],
            postgresql_where=sa.text("partner_id is not null"),
        )


def _tariffs() -> None:
    op.add_column(
        "tariff",
        sa.Column("agreed_only", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_unique_constraint(op.f("uq_tariff_operator_id_id"), "tariff", ["operator_id", "id"])
    op.drop_index(op.f("ix_tariff_operator_id_valid_from"), "tariff")
    op.create_index(
        op.f("ix_tariff_operator_id_valid_from"),
        "tariff",
        ["operator_id", "valid_from"],
        unique=True,
        postgresql_where=sa.text("not agreed_only"),
    )
