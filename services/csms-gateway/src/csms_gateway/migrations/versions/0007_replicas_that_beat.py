"""replicas that beat, and a message log that may be searched"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

# Two replicas that start together would both make the day's partition.
ONE_AT_A_TIME = """
alter function keep_message_partitions(integer) rename to make_and_drop_message_partitions;
create function keep_message_partitions(keep_days integer) returns void
language plpgsql security definer set search_path from current as $$
begin
    perform pg_advisory_xact_lock(hashtext('message partitions'));
    perform make_and_drop_message_partitions(keep_days);
end $$
"""


def upgrade() -> None:
    op.create_table(
        "gateway_replica",
        sa.Column("replica", sa.Uuid(), nullable=False),
        sa.Column("last_beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("replica", name=op.f("pk_gateway_replica")),
    )
    op.create_index(
        "ix_connection_open",
        "connection",
        ["replica"],
        unique=False,
        postgresql_where=sa.text("closed_at is null"),
    )
    op.add_column(
        "command",
        sa.Column(
            "replica", sa.Uuid(), nullable=True, comment="that sent it, and must see it through"
        ),
    )
    op.create_index(
        "ix_command_sent",
        "command",
        ["replica"],
        unique=False,
        postgresql_where=sa.text("state = 'sent'"),
    )
    op.alter_column(
        "message",
        "kind",
        existing_type=sa.TEXT(),
        comment="call, result, error, send, bad or full",
        existing_comment="call, result, error, send or bad",
        existing_nullable=False,
    )
    for statement in ONE_AT_A_TIME.strip().split(";\n", 1):
        op.execute(statement)
