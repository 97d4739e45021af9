"""details of transactions, cost shown, and what OCPP 2.1 adds"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrate import tenant_walls

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column(
        "transaction",
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="the newest tariffId, transactionLimit, operationMode, costDetails, …",
        ),
    )
    op.add_column(
        "transaction", sa.Column("newest_seq_no", sa.Integer(), server_default="-1", nullable=False)
    )
    op.add_column(
        "station",
        sa.Column(
            "shows_cost",
            sa.Boolean(),
            nullable=True,
            comment="whether it is told what a running session costs; null: not known, so it is not",
        ),
    )
    op.create_table(
        "event_stream",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("variable_monitoring_id", sa.Integer(), nullable=False),
        sa.Column("params", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("station_id", "stream_id", name=op.f("pk_event_stream")),
    )
    op.create_table(
        "dynamic_schedule",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("profile_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("schedule_update", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("station_id", "profile_id", name=op.f("pk_dynamic_schedule")),
    )
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
    tenant_walls("dynamic_schedule", "event_stream", "tariff")
