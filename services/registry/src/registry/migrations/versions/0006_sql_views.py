"""views for readers of the database"""

from common.sql_views import Shown, readable, show

revision = "0006"
down_revision = "0005"

OPERATOR = Shown("operator_id", "your operator")
VERSION = Shown("version", "grows with each change")

LOCATION = (
    Shown("id", "of the location"),
    OPERATOR,
    VERSION,
    Shown("name", "what people call it"),
    Shown("street", "of the address, with the number"),
    Shown("postal_code", "of the address"),
    Shown("city", "of the address"),
    Shown("country", "of the address, ISO 3166-1 alpha-2"),
    Shown("latitude", "degrees, WGS 84; null: not known"),
    Shown("longitude", "degrees, WGS 84; null: not known"),
    Shown("time_zone", "IANA name; days and months there"),
)
STATION = (
    Shown("id", "the OCPP identity that the charger connects with"),
    OPERATOR,
    VERSION,
    Shown("name", "what people call it"),
    Shown("location_id", "where it stands: locations.id; null: nowhere yet"),
    Shown("vendor", "who made it, as it was entered"),
    Shown("model", "which one, as it was entered"),
    Shown("active", "false: decommissioned, may not connect"),
)
EVSE = (
    Shown("operator_id", "your operator"),
    Shown("station_id", "stations.id"),
    Shown("evse_id", "its number at the station, from 1"),
    Shown("code", "the public EVSE id; null: none"),
    Shown("max_power_w", "watts; null: not known"),
)
CONNECTOR = (
    Shown("operator_id", "your operator"),
    Shown("station_id", "stations.id"),
    Shown("evse_id", "evses.evse_id"),
    Shown("connector_id", "its number at the EVSE, from 1"),
    Shown("standard", "the kind of plug, as OCPI names it"),
    Shown("format", "SOCKET or CABLE"),
    Shown("power_type", "AC or DC and phases, as OCPI names it"),
)
VIEWS = (
    ("locations", "location", "Places where stations stand.", LOCATION),
    ("stations", "station", "Charging stations, decommissioned ones too.", STATION),
    ("evses", "evse", "The charge points of stations: one car at a time each.", EVSE),
    ("connectors", "connector", "The plugs and sockets of EVSEs.", CONNECTOR),
)


def upgrade() -> None:
    readable("registry", {table: [one.name for one in shown] for _, table, _, shown in VIEWS})
    for view, table, about, shown in VIEWS:
        show(view, about, f"{table} t", shown)
