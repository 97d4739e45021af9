"""a tariff that is not valid yet can be withdrawn"""

import sqlalchemy as sa
from alembic import op

from common.database import role
from common.sql_views import Shown, show_more

revision = "0022"
down_revision = "0021"

WITHDRAWN = Shown("withdrawn_at", "it never was valid; null: it is, or will be")
OWN = sa.text("not agreed_only and withdrawn_at is null")
THERE = sa.text("withdrawn_at is null")


def upgrade() -> None:
    op.drop_index(op.f("ix_tariff_operator_id_valid_from"), "tariff")
    op.drop_index(op.f("ix_tariff_series_id_valid_from"), "tariff")
    op.add_column("tariff", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        op.f("ix_tariff_operator_id_valid_from"),
        "tariff",
        ["operator_id", "valid_from"],
        unique=True,
        postgresql_where=OWN,
    )
    op.create_index(
        op.f("ix_tariff_series_id_valid_from"),
        "tariff",
        ["series_id", "valid_from"],
        unique=True,
        postgresql_where=THERE,
    )
    # Nothing else of a tariff ever changes.
    op.execute(f"grant update (withdrawn_at) on tariff to {role('billing')}")
    show_more("tariffs", "tariff", [WITHDRAWN])
