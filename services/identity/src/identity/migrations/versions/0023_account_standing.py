"""whether the account that pays for a card may, told by billing"""

import sqlalchemy as sa
from alembic import op

from common.migrate import tenant_walls

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "account_standing",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("owner_kind", sa.String(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("may_charge", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_standing")),
    )
    op.create_index(
        op.f("ix_account_standing_operator_id_owner_kind_owner_id"),
        "account_standing",
        ["operator_id", "owner_kind", "owner_id"],
    )
    tenant_walls("account_standing")
