"""station groups in station groups"""

import sqlalchemy as sa
from alembic import op

from common.audit import audited
from common.migrate import tenant_walls

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column(
        "station_group_member",
        sa.Column("own", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
    op.alter_column("station_group_member", "own", server_default=None)
    op.create_table(
        "station_subgroup",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("subgroup_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id", "group_id"],
            ["station_group.operator_id", "station_group.id"],
            name=op.f("fk_station_subgroup_operator_id_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["operator_id", "subgroup_id"],
            ["station_group.operator_id", "station_group.id"],
            name=op.f("fk_station_subgroup_operator_id_subgroup_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("group_id", "subgroup_id", name=op.f("pk_station_subgroup")),
    )
    for column in ("operator_id", "subgroup_id"):
        op.create_index(op.f(f"ix_station_subgroup_{column}"), "station_subgroup", [column])
    # No wall by location: it holds ids of groups only, and what staff of a location put in or take
    # out goes up to groups that they may not see.
    tenant_walls("station_subgroup")
    audited("station_subgroup")
