"""which signed readings were told to the others"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    # False also of those that a replica of the release before keeps while it still runs.
    op.add_column(
        "signed_message",
        sa.Column("told", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_index(
        "ix_signed_message_untold",
        "signed_message",
        ["id"],
        postgresql_where=sa.text("not told and session_id is not null"),
    )
