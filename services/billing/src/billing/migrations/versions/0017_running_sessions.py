"""running sessions are found without those that are over"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_index(
        "ix_session_running", "session", ["id"], postgresql_where=sa.text("state = 'running'")
    )
