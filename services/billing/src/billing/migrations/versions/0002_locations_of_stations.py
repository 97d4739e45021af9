"""where stations stand, and walls for staff who may see some locations only"""

import sqlalchemy as sa
from alembic import op

from common.migrate import MY_LOCATIONS, location_walls, of_my_locations, tenant_walls

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "station",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("station_id", name=op.f("pk_station")),
    )
    tenant_walls("station")
    of_my_locations("billing")
    location_walls("station", condition=f"location_id = {MY_LOCATIONS}")
    location_walls("session", "record")
