"""which stations are in which group, for agreements"""

import sqlalchemy as sa
from alembic import op

from common.migrate import tenant_walls

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "station_group",
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_station_group")),
    )
    op.create_table(
        "station_group_member",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("member", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("station_id", "group_id", name=op.f("pk_station_group_member")),
    )
    tenant_walls("station_group", "station_group_member")
