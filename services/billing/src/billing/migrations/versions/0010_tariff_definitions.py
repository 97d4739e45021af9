"""tariffs by OCPI's elements, in series; VAT by rate; the clocks of locations"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrate import tenant_walls
from common.sql_views import Shown, show_more

revision = "0010"
down_revision = "0009"

TARIFF = (
    Shown("series_id", "whose version it is; it ends where the next one begins"),
    Shown("definition", "elements, caps and idle fee as in the REST API; null: the prices are all"),
)
TAXES = Shown("taxes", "by rate of VAT; decimals as strings; null: one rate, from before")


def upgrade() -> None:
    op.add_column("tariff", sa.Column("series_id", sa.Uuid(), nullable=True))
    op.add_column("tariff", sa.Column("definition", postgresql.JSONB(), nullable=True))
    # The operator's own are one series, named by its first; the agreed ones are one each.
    op.execute(
        "update tariff t set series_id = case when agreed_only then id else ("
        "select f.id from tariff f where f.operator_id = t.operator_id and not f.agreed_only "
        "order by f.valid_from limit 1) end"
    )
    op.alter_column("tariff", "series_id", nullable=False)
    op.create_index(
        op.f("ix_tariff_series_id_valid_from"), "tariff", ["series_id", "valid_from"], unique=True
    )
    op.alter_column("record", "vat_percent", nullable=True)
    op.add_column("record", sa.Column("taxes", postgresql.JSONB(), nullable=True))
    op.create_table(
        "location",
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("location_id", name=op.f("pk_location")),
    )
    tenant_walls("location")
    show_more("tariffs", "tariff", TARIFF)
    show_more("records", "record", (TAXES,))
