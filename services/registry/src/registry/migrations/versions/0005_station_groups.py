"""groups of stations"""

import sqlalchemy as sa
from alembic import op

from common.audit import audited
from common.migrate import location_walls, tenant_walls

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "station_group",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("members_version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_station_group")),
        sa.UniqueConstraint("operator_id", "id", name=op.f("uq_station_group_operator_id_id")),
        sa.UniqueConstraint("operator_id", "name", name=op.f("uq_station_group_operator_id_name")),
    )
    op.create_table(
        "station_group_member",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id", "group_id"],
            ["station_group.operator_id", "station_group.id"],
            name=op.f("fk_station_group_member_operator_id_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["operator_id", "station_id"],
            ["station.operator_id", "station.id"],
            name=op.f("fk_station_group_member_operator_id_station_id"),
        ),
        sa.PrimaryKeyConstraint("group_id", "station_id", name=op.f("pk_station_group_member")),
    )
    op.create_index(
        op.f("ix_station_group_member_station_id"), "station_group_member", ["station_id"]
    )
    tenant_walls("station_group", "station_group_member")
    location_walls("station_group_member")
    # The members that the wall above lets through: a group shows if it holds a station of mine.
    location_walls(
        "station_group",
        condition="exists (select from station_group_member m where m.group_id = station_group.id)",
    )
    audited("station_group", "station_group_member")
