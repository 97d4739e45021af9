"""people who were erased, and how long an operator keeps whose a session was"""

import sqlalchemy as sa
from alembic import op

from common.database import OPERATOR_SETTING, PLATFORM, role
from common.migrate import tenant_walls
from common.privacy import ERASED

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "tombstone",
        sa.Column("card_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("card_id", name=op.f("pk_tombstone")),
    )
    tenant_walls("tombstone")
    op.add_column("operator", sa.Column("personal_data_days", sa.Integer(), nullable=True))
    for table in ("session", "record"):
        op.create_index(
            op.f(f"ix_{table}_card_id"),
            table,
            ["card_id"],
            unique=False,
            postgresql_where=sa.text("card_id is not null"),
        )
    _erasing_tokens()


def _erasing_tokens() -> None:
    """The one change of a record that there is: its token gives way to a pseudonym.

    As its owner, for the service may not; who is not bound by the wall, so it is here once more.
    """
    op.execute(
        f"""
        create function erase_record_tokens(sessions uuid[]) returns integer
        language plpgsql security definer set search_path = billing as $$
        declare changed integer;
        begin
            update record
            set id_token = '{ERASED}' || upper(right(coalesce(card_id, session_id)::text, 12))
            where session_id = any(sessions) and (
                current_setting('{OPERATOR_SETTING}', true) = '{PLATFORM}'
                or operator_id::text = current_setting('{OPERATOR_SETTING}', true)
            );
            get diagnostics changed = row_count;
            return changed;
        end $$
        """
    )
    op.execute("revoke execute on function erase_record_tokens(uuid[]) from public")
    op.execute(f"grant execute on function erase_record_tokens(uuid[]) to {role('billing')}")
