"""signed readings, the keys of meters, and what came of verifying"""

import sqlalchemy as sa
from alembic import op

from common.migrate import append_only, location_walls, tenant_walls

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "signed_reading",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("sampled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("measurand", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("signing_method", sa.Text(), nullable=True),
        sa.Column("encoding_method", sa.Text(), nullable=True),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signed_reading")),
        sa.UniqueConstraint("message_id", "place", name=op.f("uq_signed_reading_message_id_place")),
    )
    op.create_index(op.f("ix_signed_reading_session_id_id"), "signed_reading", ["session_id", "id"])
    op.create_index(
        "ix_signed_reading_same", "signed_reading", ["station_id", sa.text("md5(data)")]
    )
    op.create_table(
        "meter_key",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("since_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("station_id", "evse_id", "version", name=op.f("pk_meter_key")),
    )
    op.create_table(
        "verification",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("why", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("energy_wh", sa.Numeric(), nullable=True),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_verification")),
    )
    op.create_index(
        "ix_verification_open",
        "verification",
        ["session_id"],
        postgresql_where=sa.text("verdict is null"),
    )
    op.create_index(
        "ix_verification_no_key",
        "verification",
        ["station_id", "evse_id"],
        postgresql_where=sa.text("verdict = 'no_key'"),
    )
    for table in ("signed_reading", "meter_key", "verification"):
        tenant_walls(table)
        location_walls(table)
    append_only("signed_reading", "meter_key", service="billing")
