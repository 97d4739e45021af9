"""the prices that stations show, as billing tells them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrate import location_walls, tenant_walls

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "display_price",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("shown", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("station_id", name=op.f("pk_display_price")),
    )
    tenant_walls("display_price")
    location_walls("display_price")
    op.execute(
        "create trigger tell_map after insert or update or delete on display_price "
        "for each row execute function tell_map('station', 'station_id')"
    )
