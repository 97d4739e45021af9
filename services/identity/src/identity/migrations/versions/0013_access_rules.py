"""who may charge where and when, and what cards have spent in a month"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited
from common.migrate import tenant_walls

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "station",
        sa.Column("station_id", sa.String(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("station_id", name=op.f("pk_station")),
    )
    op.create_table(
        "access_rule",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("effect", sa.String(), nullable=False),
        sa.Column("holders", postgresql.JSONB(), nullable=False),
        sa.Column("places", postgresql.JSONB(), nullable=False),
        sa.Column("windows", postgresql.JSONB(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "effect in ('deny', 'reserve', 'confine')", name=op.f("ck_access_rule_effect")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name=op.f("fk_access_rule_operator_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_rule")),
        sa.UniqueConstraint("operator_id", "name", name=op.f("uq_access_rule_operator_id_name")),
    )
    op.create_index(op.f("ix_access_rule_operator_id_id"), "access_rule", ["operator_id", "id"])
    op.create_table(
        "access_revision",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_access_revision")),
    )
    op.create_table(
        "card_month",
        sa.Column("card_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("spent", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("card_id", "month", name=op.f("pk_card_month")),
    )
    tenant_walls("station", "access_rule", "access_revision", "card_month")
    audited("access_rule")
