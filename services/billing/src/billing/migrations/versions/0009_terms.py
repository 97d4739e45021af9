"""the terms of a session, and records that correct others"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.sql_views import Shown, show_more

revision = "0009"
down_revision = "0008"

ACCOUNT = Shown("account_id", "who pays; null: nobody is billed here")
RECORD = (
    Shown("kind", "session, cancellation or correction"),
    Shown("refers_to", "the record that this one cancels or corrects"),
    ACCOUNT,
)


def upgrade() -> None:
    for table in ("session", "record"):
        op.add_column(table, sa.Column("terms", postgresql.JSONB(), nullable=True))
        account = sa.Computed("(terms->>'account_id')::uuid", persisted=True)
        op.add_column(table, sa.Column("account_id", sa.Uuid(), account, nullable=True))
    op.add_column("record", sa.Column("kind", sa.Text(), server_default="session", nullable=False))
    op.add_column("record", sa.Column("refers_to", sa.Uuid(), nullable=True))
    op.drop_constraint(op.f("uq_record_session_id"), "record")
    op.create_index(
        op.f("ix_record_session_id"),
        "record",
        ["session_id"],
        unique=True,
        postgresql_where=sa.text("refers_to is null"),
    )
    for columns in (["account_id", "id"], ["refers_to"]):
        op.create_index(
            op.f(f"ix_record_{'_'.join(columns)}"),
            "record",
            columns,
            postgresql_where=sa.text(f"{columns[0]} is not null"),
        )
    show_more("sessions", "session", (ACCOUNT,))
    show_more("records", "record", RECORD)
