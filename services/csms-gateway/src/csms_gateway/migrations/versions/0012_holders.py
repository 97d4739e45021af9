"""whose card a session was begun with"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column(
        "transaction",
        sa.Column("holder", postgresql.JSONB(), nullable=True, comment="common.authorize.Holder"),
    )
