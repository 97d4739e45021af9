"""power, what has news, and what was"""

import sqlalchemy as sa
from alembic import op

from common.migrate import location_walls, tenant_walls

revision = "0010"
down_revision = "0009"

TABLES = ("evse_meter", "live_change", "station_connection", "connector_standing")


def of_station() -> list[sa.Column[object]]:
    return [
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
    ]


def stations(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["operator_id", "station_id"],
        ["station.operator_id", "station.id"],
        name=op.f(f"fk_{table}_operator_id_station_id"),
    )


def upgrade() -> None:
    # True: a replica's stations are told of once it is known to live.
    silent = sa.Column("silent", sa.Boolean(), nullable=False, server_default=sa.true())
    op.add_column("gateway_replica", silent)
    op.alter_column("gateway_replica", "silent", server_default=None)
    op.add_column("evse_session", sa.Column("meter_start_wh", sa.BigInteger(), nullable=True))
    op.create_table(
        "evse_meter",
        *of_station(),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("sampled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("power_w", sa.BigInteger(), nullable=True),
        sa.Column("register_wh", sa.BigInteger(), nullable=True),
        sa.Column("base_wh", sa.BigInteger(), nullable=True),
        sa.Column("base_at", sa.DateTime(timezone=True), nullable=True),
        stations("evse_meter"),
        sa.PrimaryKeyConstraint("operator_id", "station_id", "evse_id", name=op.f("pk_evse_meter")),
    )
    _changes()
    _history()
    tenant_walls(*TABLES)
    location_walls(*TABLES)


def _changes() -> None:
    op.execute("create sequence live_change_seq")
    op.create_table(
        "live_change",
        *of_station(),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column(
            "change",
            sa.BigInteger(),
            server_default=sa.text("nextval('live_change_seq')"),
            nullable=False,
        ),
        stations("live_change"),
        sa.PrimaryKeyConstraint(
            "operator_id", "station_id", "evse_id", name=op.f("pk_live_change")
        ),
    )
    op.create_index("ix_live_change_change", "live_change", ["change"])
    op.execute(
        "insert into live_change (operator_id, station_id, evse_id) "
        "select operator_id, station_id, 0 from station_live "
        "union select operator_id, station_id, evse_id from connector_live "
        "union select operator_id, station_id, evse_id from evse_session"
    )


def _history() -> None:
    op.create_table(
        "station_connection",
        *of_station(),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("replica", sa.Uuid(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        stations("station_connection"),
        sa.PrimaryKeyConstraint(
            "operator_id", "station_id", "generation", name=op.f("pk_station_connection")
        ),
    )
    op.create_index(
        "ix_station_connection_open",
        "station_connection",
        ["replica"],
        postgresql_where=sa.text("closed_at is null"),
    )
    op.create_index("ix_station_connection_closed", "station_connection", ["closed_at"])
    op.create_table(
        "connector_standing",
        *of_station(),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("connector_id", sa.Integer(), nullable=False),
        sa.Column("slot_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("vendor_error_code", sa.Text(), nullable=True),
        stations("connector_standing"),
        sa.PrimaryKeyConstraint(
            "operator_id",
            "station_id",
            "evse_id",
            "connector_id",
            "slot_at",
            name=op.f("pk_connector_standing"),
        ),
    )
    op.create_index("ix_connector_standing_slot", "connector_standing", ["slot_at"])
    # What is known of the time before: how it stands now, and since when.
    op.execute(
        "insert into station_connection "
        "(operator_id, station_id, generation, replica, opened_at, closed_at) "
        "select operator_id, station_id, generation, replica, "
        "case when connected then connection_since_at end, "
        "case when not connected then connection_since_at end "
        "from station_live where generation is not null and replica is not null"
    )
    op.execute(
        "insert into connector_standing (operator_id, station_id, evse_id, connector_id, slot_at, "
        "generation, at, standing, error_code, vendor_error_code) "
        "select operator_id, station_id, evse_id, connector_id, "
        "date_bin('10 s', since_at, timestamptz 'epoch'), generation, since_at, "
        "case when status in ('faulted', 'unavailable') then status else 'working' end, "
        "case when status = 'faulted' then error_code end, "
        "case when status = 'faulted' then vendor_error_code end from connector_live"
    )
