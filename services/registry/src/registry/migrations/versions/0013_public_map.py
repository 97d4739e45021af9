"""prices, and what of the public map changes"""

import sqlalchemy as sa
from alembic import op

from common.migrate import tenant_walls

revision = "0013"
down_revision = "0012"

# Told by the database, so that nobody who writes can forget it. Of what chargers report, only what
# the map shows: most reports repeat what is known.
TELL = """
create function tell_map() returns trigger language plpgsql as $$
declare told jsonb := case when tg_op = 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
begin
    insert into registry.map_change (operator_id, kind, key)
    values ((told ->> 'operator_id')::uuid, tg_argv[0], told ->> tg_argv[1]);
    return null;
end $$
"""
ALWAYS = (
    ("station", "station", "id"),
    ("location", "location", "id"),
    ("evse", "station", "station_id"),
    ("connector", "station", "station_id"),
    ("tariff", "tariff", "operator_id"),
)
WHEN_IT_TURNS = (
    ("connector_live", "old.status is distinct from new.status"),
    (
        "station_live",
        "(old.connected, old.replica) is distinct from (new.connected, new.replica)",
    ),
)


def upgrade() -> None:
    op.create_table(
        "tariff",
        sa.Column("tariff_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("tax_included", sa.Boolean(), nullable=False),
        sa.Column("vat_percent", sa.Numeric(), nullable=False),
        sa.Column("energy_price", sa.Numeric(), nullable=False, comment="per kWh"),
        sa.Column("time_price", sa.Numeric(), nullable=False, comment="per minute"),
        sa.Column("start_fee", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("tariff_id", name=op.f("pk_tariff")),
    )
    op.create_index(
        op.f("ix_tariff_operator_id_valid_from"), "tariff", ["operator_id", "valid_from"]
    )
    op.create_table(
        "map_change",
        sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column(
            "txid",
            sa.BigInteger(),
            server_default=sa.text("((pg_current_xact_id())::text)::bigint"),
            nullable=False,
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_map_change")),
    )
    op.create_index(op.f("ix_map_change_txid"), "map_change", ["txid"])
    tenant_walls("tariff", "map_change")
    op.execute(TELL)
    for table, kind, key in ALWAYS:
        op.execute(
            f"create trigger tell_map after insert or update or delete on {table} "
            f"for each row execute function tell_map('{kind}', '{key}')"
        )
    for table, turned in WHEN_IT_TURNS:
        op.execute(
            f"create trigger tell_map after insert or delete on {table} "
            "for each row execute function tell_map('station', 'station_id')"
        )
        op.execute(
            f"create trigger tell_map_turn after update on {table} for each row "
            f"when ({turned}) execute function tell_map('station', 'station_id')"
        )
