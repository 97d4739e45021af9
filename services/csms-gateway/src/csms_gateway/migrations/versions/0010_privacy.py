"""people who were erased, and how long an operator keeps whose a session was"""

import sqlalchemy as sa
from alembic import op

from common.migrate import tenant_walls

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "tombstone",
        sa.Column("card_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("card_id", name=op.f("pk_tombstone")),
    )
    tenant_walls("tombstone")
    op.add_column("operator_name", sa.Column("personal_data_days", sa.Integer(), nullable=True))
    op.create_index(
        op.f("ix_transaction_card_id"),
        "transaction",
        ["card_id"],
        unique=False,
        postgresql_where=sa.text("card_id is not null"),
    )
