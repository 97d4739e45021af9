"""where stations stand, and walls for staff who may see some locations only"""

import sqlalchemy as sa
from alembic import op

from common.migrate import MY_LOCATIONS, location_walls, of_my_locations

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("station", sa.Column("location_id", sa.Uuid(), nullable=True))
    of_my_locations("csms_gateway")
    location_walls("station", condition=f"location_id = {MY_LOCATIONS}")
    location_walls(
        "command",
        "connection",
        "dynamic_schedule",
        "event_stream",
        "installed_certificate",
        "installed_charging_profile",
        "issued_certificate",
        "local_list",
        "message",
        "notification",
        "reservation",
        "signed_message",
        "transaction",
        "transaction_event",
        "unmatched_message",
        "variable",
    )
