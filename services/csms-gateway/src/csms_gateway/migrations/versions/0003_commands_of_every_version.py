"""commands of every version"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

from common.migrate import tenant_walls

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("create sequence command_change_seq")
    op.execute("create sequence request_id_seq maxvalue 2147483647 cycle")
    op.execute("create sequence notification_id_seq")
    op.create_table(
        "notification",
        sa.Column(
            "id",
            sa.BigInteger(),
            server_default=sa.text("nextval('notification_id_seq')"),
            nullable=False,
        ),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=True, comment="of the command it answers"),
        sa.Column("payload", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
    )
    op.create_index("ix_notification_received_at", "notification", ["received_at"], unique=False)
    op.create_index(
        "ix_notification_request",
        "notification",
        ["station_id", "request_id"],
        unique=False,
        postgresql_where=sa.text("request_id is not null"),
    )
    op.create_index("ix_notification_station", "notification", ["station_id", "id"], unique=False)
    op.add_column(
        "command",
        sa.Column(
            "change",
            sa.BigInteger(),
            server_default=sa.text("nextval('command_change_seq')"),
            nullable=False,
            comment="grows with each change",
        ),
    )
    op.add_column(
        "command",
        sa.Column(
            "calls",
            sa.JSON(),
            nullable=True,
            comment="action, payload and answer of each OCPP call it became",
        ),
    )
    op.add_column(
        "command",
        sa.Column(
            "start_id_token", sa.Text(), nullable=True, comment="upper case: the start it asks for"
        ),
    )
    op.add_column(
        "command",
        sa.Column(
            "start_evse_id", sa.Integer(), nullable=True, comment="and where; null: anywhere"
        ),
    )
    op.add_column(
        "command",
        sa.Column(
            "remote_start_id", sa.Integer(), nullable=True, comment="2.x: the same by number"
        ),
    )
    op.alter_column(
        "command",
        "parameters",
        existing_type=postgresql.JSONB(astext_type=Text()),
        type_=sa.JSON(),
        existing_nullable=False,
    )
    op.alter_column(
        "command",
        "result",
        existing_type=postgresql.JSONB(astext_type=Text()),
        type_=sa.JSON(),
        existing_nullable=True,
    )
    op.create_index("ix_command_change", "command", ["change"], unique=False)
    op.create_index(
        "ix_command_start",
        "command",
        ["station_id"],
        unique=False,
        postgresql_where=sa.text("start_id_token is not null or remote_start_id is not null"),
    )
    op.add_column(
        "connection",
        sa.Column("security_profile", sa.SmallInteger(), server_default="1", nullable=False),
    )
    op.alter_column(
        "message",
        "kind",
        existing_type=sa.TEXT(),
        comment="call, result, error, send or bad",
        existing_comment="call, result, error or bad",
        existing_nullable=False,
    )
    op.add_column(
        "station",
        sa.Column(
            "next_password_hash",
            sa.Text(),
            nullable=True,
            comment="sent to the station; becomes password_hash when it is first used",
        ),
    )
    op.add_column(
        "station",
        sa.Column(
            "security_profile",
            sa.SmallInteger(),
            server_default="1",
            nullable=False,
            comment="the least it must connect with; grows with what it has used",
        ),
    )
    op.add_column(
        "station",
        sa.Column(
            "registration",
            sa.Text(),
            server_default="accepted",
            nullable=False,
            comment="what BootNotification is answered",
        ),
    )
    op.create_check_constraint("security_profile", "station", "security_profile between 0 and 3")
    op.create_check_constraint(
        "registration", "station", "registration in ('accepted', 'pending', 'rejected')"
    )
    tenant_walls("notification")
