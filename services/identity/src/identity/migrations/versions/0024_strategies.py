"""accounting strategies and who has which, for cards that have a price by them alone"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrate import tenant_walls

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "accounting_strategy",
        sa.Column("strategy_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("tariffs", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("strategy_id", name=op.f("pk_accounting_strategy")),
    )
    op.create_table(
        "strategy_assignment",
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("strategy_id", sa.Uuid(), nullable=False),
        sa.Column("holder_kind", sa.String(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("assignment_id", name=op.f("pk_strategy_assignment")),
    )
    op.create_index(
        op.f("ix_strategy_assignment_operator_id_holder_kind_holder_id"),
        "strategy_assignment",
        ["operator_id", "holder_kind", "holder_id"],
    )
    tenant_walls("accounting_strategy", "strategy_assignment")
