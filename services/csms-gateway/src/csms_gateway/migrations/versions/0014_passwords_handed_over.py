"""adopted stations are given their password over the connection they wait on"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column(
        "station",
        sa.Column(
            "hand_over",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="it was adopted and waits: give it a password over the connection that it holds",
        ),
    )
