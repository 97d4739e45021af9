"""the prices that stations show"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrate import location_walls, tenant_walls

revision = "0018"
down_revision = "0017"

# Told by the database, so that nobody who writes can forget it.
NOTE = """
create function note_display() returns trigger language plpgsql as $$
begin
    insert into billing.display_change (operator_id) select distinct operator_id from changed_rows;
    return null;
end $$
"""
DECIDE = (
    "tariff", "accounting_strategy", "strategy_assignment", "discount", "station", "location",
    "station_group_member", "operator",
)  # fmt: skip
CHANGES = {
    "insert": "new table as changed_rows",
    "update": "new table as changed_rows",
    "delete": "old table as changed_rows",
}


def upgrade() -> None:
    op.create_table(
        "display_change",
        sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_display_change")),
    )
    op.create_index(op.f("ix_display_change_operator_id"), "display_change", ["operator_id"])
    op.create_table(
        "display_round",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_display_round")),
    )
    op.create_index(op.f("ix_display_round_due_at"), "display_round", ["due_at"])
    op.create_table(
        "display_price",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("shown", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("station_id", name=op.f("pk_display_price")),
    )
    # Whose stations are there already; the walls bind the owner too.
    op.execute("select set_config('csms.operator', '*', true)")
    op.execute("insert into display_change (operator_id) select distinct operator_id from station")
    tenant_walls("display_change", "display_round", "display_price")
    location_walls("display_price")
    op.execute(NOTE)
    for table in DECIDE:
        for action, rows in CHANGES.items():
            op.execute(
                f"create trigger display_{action} after {action} on {table} referencing {rows} "
                "for each statement execute function note_display()"
            )
