"""records that are under review"""

import sqlalchemy as sa
from alembic import op

from common.database import role

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # Until now it was not told.
    review = sa.Column("review", sa.Text(), server_default=sa.text("'none'"), nullable=False)
    op.add_column("fact", review)
    # All else of a fact stays as it was told.
    op.execute(f"grant update (review) on fact to {role('reporting')}")
