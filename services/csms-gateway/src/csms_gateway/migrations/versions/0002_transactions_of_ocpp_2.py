"""transactions of ocpp 2"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

from common.migrate import tenant_walls

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "transaction_event",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("ocpp_id", sa.Text(), nullable=False),
        sa.Column("seq_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "station_id", "ocpp_id", "seq_no", name=op.f("pk_transaction_event")
        ),
    )
    op.add_column(
        "transaction",
        sa.Column(
            "ocpp_id", sa.Text(), nullable=True, comment="2.x: the station's own id; 1.6: null"
        ),
    )
    op.add_column("transaction", sa.Column("id_token_type", sa.Text(), nullable=True))
    op.add_column(
        "transaction",
        sa.Column("start_seen", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    op.add_column(
        "transaction", sa.Column("start_seq_no", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("transaction", sa.Column("end_seq_no", sa.Integer(), nullable=True))
    op.add_column("transaction", sa.Column("charging_state", sa.Text(), nullable=True))
    op.add_column("transaction", sa.Column("remote_start_id", sa.Integer(), nullable=True))
    op.add_column("transaction", sa.Column("reservation_id", sa.Integer(), nullable=True))
    op.add_column(
        "transaction",
        sa.Column("start_told", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    op.add_column(
        "transaction",
        sa.Column("end_told", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    op.add_column(
        "transaction",
        sa.Column(
            "tell_by",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="ended, but events are missing: told as it is at this time",
        ),
    )
    op.add_column(
        "transaction", sa.Column("revision", sa.Integer(), server_default="0", nullable=False)
    )
    op.alter_column("transaction", "meter_start_wh", existing_type=sa.BIGINT(), nullable=True)
    op.drop_constraint(op.f("uq_transaction_start"), "transaction", type_="unique")
    op.create_index(
        "uq_transaction_start",
        "transaction",
        ["station_id", "evse_id", "connector_id", "id_token_key", "started_raw", "meter_start_wh"],
        unique=True,
        postgresql_where=sa.text("ocpp_id is null"),
    )
    op.create_index(
        "ix_transaction_untold",
        "transaction",
        ["tell_by"],
        unique=False,
        postgresql_where=sa.text("tell_by is not null"),
    )
    op.create_index(
        "uq_transaction_ocpp_id",
        "transaction",
        ["station_id", "ocpp_id"],
        unique=True,
        postgresql_where=sa.text("ocpp_id is not null"),
    )
    tenant_walls("transaction_event")
