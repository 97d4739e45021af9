"""what tariffs say beyond three prices, and who may have others than the operator's own"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrate import tenant_walls

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column(
        "tariff",
        sa.Column(
            "definition",
            postgresql.JSONB(),
            nullable=True,
            comment="events.TariffPrices.definition",
        ),
    )
    op.add_column(
        "tariff",
        sa.Column(
            "lines",
            postgresql.JSONB(),
            server_default=sa.text("'[]'"),
            nullable=False,
            comment="events.PriceLine",
        ),
    )
    op.drop_table("other_prices")
    op.create_table(
        "strategy_assignment",
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("holder_kind", sa.Text(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=True),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("assignment_id", name="pk_strategy_assignment"),
    )
    op.create_index("ix_strategy_assignment_operator_id", "strategy_assignment", ["operator_id"])
    tenant_walls("strategy_assignment")
