"""notes of what people change"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited, noted
from common.migrate import tenant_walls

revision = "0007"
down_revision = "0006"

AUDITED: tuple[str, ...] = (
    "operator",
    "users",
    "user_group",
    "user_group_member",
    "company",
    "cost_centre",
    "card",
    "partner",
    "privacy_request",
)
SECRET: dict[str, tuple[str, ...]] = {"login": ("password_hash",), "api_key": ("key_hash",)}


def upgrade() -> None:
    op.create_table(
        "change_note",
        sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column(
            "note_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False
        ),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_key", postgresql.JSONB(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("before", postgresql.JSONB(), nullable=True),
        sa.Column("after", postgresql.JSONB(), nullable=True),
        sa.Column("actor", postgresql.JSONB(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_change_note")),
    )
    tenant_walls("change_note")
    noted("identity")
    audited(*AUDITED)
    for table, columns in SECRET.items():
        audited(table, secret=columns)
    audited("sign_in", noise=("last_used_at", "expires_at", "ip"))
