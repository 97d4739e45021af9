"""records that take others back"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # Until now each fact was one session.
    sessions = sa.Column("sessions", sa.Integer(), server_default=sa.text("1"), nullable=False)
    op.add_column("fact", sessions)
