"""whether cars took power"""

import sqlalchemy as sa
from alembic import op

from common.migrate import location_walls, tenant_walls

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "charging_state",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "at", name=op.f("pk_charging_state")),
    )
    tenant_walls("charging_state")
    location_walls("charging_state")
