"""reservations local lists charging profiles"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

from common.migrate import tenant_walls

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "charging_profile",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "for_evs",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="what EVs that tell their needs are offered",
        ),
        sa.Column(
            "profile",
            postgresql.JSONB(astext_type=Text()),
            nullable=False,
            comment="commands.kinds.ChargingProfile",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charging_profile")),
        sa.UniqueConstraint(
            "operator_id", "name", name=op.f("uq_charging_profile_operator_id_name")
        ),
    )
    op.create_index(
        "uq_charging_profile_for_evs",
        "charging_profile",
        ["operator_id"],
        unique=True,
        postgresql_where=sa.text("for_evs"),
    )
    op.create_table(
        "installed_charging_profile",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("profile_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False, comment="0: the whole station"),
        sa.Column("stack_level", sa.Integer(), nullable=False),
        sa.Column(
            "purpose",
            sa.Text(),
            nullable=False,
            comment="in the words of commands.kinds.ChargingProfile",
        ),
        sa.Column("session_id", sa.Uuid(), nullable=True, comment="of a tx profile"),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "source",
            sa.Text(),
            nullable=False,
            comment="CSO: set by us; else as the station reported",
        ),
        sa.Column(
            "profile",
            postgresql.JSONB(astext_type=Text()),
            nullable=False,
            comment="as OCPP has it",
        ),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "station_id", "profile_id", name=op.f("pk_installed_charging_profile")
        ),
    )
    op.create_index(
        op.f("ix_installed_charging_profile_operator_id"),
        "installed_charging_profile",
        ["operator_id"],
        unique=False,
    )
    op.create_table(
        "local_list",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column(
            "version",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="of what is wanted; ETag",
        ),
        sa.Column(
            "entries",
            postgresql.JSONB(astext_type=Text()),
            nullable=True,
            comment="wanted; null: nobody has said",
        ),
        sa.Column("state", sa.Text(), server_default="unmanaged", nullable=False),
        sa.Column(
            "command_id", sa.Uuid(), nullable=True, comment="the last one to send what is wanted"
        ),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("installed", postgresql.JSONB(astext_type=Text()), nullable=True),
        sa.Column("installed_protocol", sa.Text(), nullable=True),
        sa.Column("installed_version", sa.Integer(), nullable=True, comment="the station's number"),
        sa.Column("installed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "last_version",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="the highest number ever sent or told",
        ),
        sa.Column(
            "pending_version",
            sa.Integer(),
            nullable=True,
            comment="of the last part being sent; while it is there nothing is certain",
        ),
        sa.CheckConstraint(
            "state in ('unmanaged', 'sending', 'in_sync', 'differs', 'failed', 'version_mismatch')",
            name=op.f("ck_local_list_state"),
        ),
        sa.PrimaryKeyConstraint("station_id", name=op.f("pk_local_list")),
    )
    op.create_index(op.f("ix_local_list_operator_id"), "local_list", ["operator_id"], unique=False)
    op.create_table(
        "reservation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column(
            "reservation_id",
            sa.Integer(),
            nullable=False,
            comment="the number both sides know it by",
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True, comment="the station's last word on it"),
        sa.Column("evse_id", sa.Integer(), nullable=True, comment="null: any"),
        sa.Column("connector_type", sa.Text(), nullable=True),
        sa.Column("id_token", sa.Text(), nullable=False),
        sa.Column(
            "id_token_key",
            sa.Text(),
            nullable=False,
            comment="upper case: tokens compare without case",
        ),
        sa.Column("id_token_type", sa.Text(), nullable=True),
        sa.Column("group_id_token", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True, comment="the session that used it"),
        sa.CheckConstraint(
            "state in ('requested', 'active', 'rejected', 'used', 'cancelled', 'expired', 'removed')",
            name=op.f("ck_reservation_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservation")),
        sa.UniqueConstraint(
            "station_id", "reservation_id", name=op.f("uq_reservation_station_id_reservation_id")
        ),
    )
    op.create_index(
        "ix_reservation_open",
        "reservation",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state in ('requested', 'active')"),
    )
    op.create_index("ix_reservation_operator", "reservation", ["operator_id", "id"], unique=False)
    tenant_walls("charging_profile", "installed_charging_profile", "local_list", "reservation")
