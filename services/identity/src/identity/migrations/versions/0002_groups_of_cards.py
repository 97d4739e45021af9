"""groups of cards, and master passes"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("card", sa.Column("group_id", sa.String(), nullable=True))
    op.add_column(
        "card",
        sa.Column("master_pass", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_card_master_pass_of_group"), "card", "group_id is not null or not master_pass"
    )
    op.create_index(
        op.f("ix_card_operator_id_group_id"), "card", ["operator_id", "group_id"], unique=False
    )
