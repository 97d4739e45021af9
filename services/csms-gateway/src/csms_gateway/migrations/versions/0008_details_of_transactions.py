"""details of transactions: limits, tariff and cost as the station tells them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0003"


def upgrade() -> None:
    op.add_column(
        "transaction",
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="the newest tariffId, transactionLimit, operationMode, costDetails, …",
        ),
    )
    op.add_column(
        "transaction", sa.Column("newest_seq_no", sa.Integer(), server_default="-1", nullable=False)
    )
