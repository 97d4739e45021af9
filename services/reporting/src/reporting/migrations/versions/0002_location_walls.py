"""walls for staff who may see some locations only"""

from common.migrate import MY_LOCATIONS, location_walls

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    location_walls("location", "station", condition=f"location_id = {MY_LOCATIONS}")
    # Not by a function for each row: reports read millions of them.
    location_walls("fact", condition="station_id in (select s.station_id from reporting.station s)")
