"""walls for staff who may see some locations only"""

from common.migrate import MY_LOCATIONS, location_walls, of_my_locations

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    of_my_locations("registry", key="id")
    location_walls("location", condition=f"id = {MY_LOCATIONS}")
    location_walls("station", condition=f"location_id = {MY_LOCATIONS}")
    location_walls("evse", "connector", "connector_live", "evse_session", "station_live")
