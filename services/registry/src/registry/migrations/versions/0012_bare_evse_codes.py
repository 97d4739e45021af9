"""EVSE codes without separators, which scanned QR codes are found by"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    bare = sa.Computed("replace(code, '*', '')", persisted=True)
    op.add_column("evse", sa.Column("bare_code", sa.Text(), bare))
    op.create_index(op.f("ix_evse_bare_code"), "evse", ["bare_code"])
