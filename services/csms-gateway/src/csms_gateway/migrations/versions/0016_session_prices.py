"""by what billing charges a session, and who has prices besides the operator's own"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrate import tenant_walls

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column(
        "transaction",
        sa.Column(
            "price",
            postgresql.JSONB(),
            nullable=True,
            comment="by what billing charges it: events.SessionPriceSet",
        ),
    )
    op.create_table(
        "other_prices",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("operator_id", name="pk_other_prices"),
    )
    tenant_walls("other_prices")
