"""chains of what people changed"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrate import append_only, tenant_walls

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("chain", sa.String(), nullable=False, comment="the operator's id, or platform"),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("table_name", sa.String(), nullable=False),
        sa.Column("row_key", postgresql.JSONB(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("actor", postgresql.JSONB(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("values_hash", sa.String(), nullable=False),
        sa.Column("entry_hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "seq", name=op.f("pk_audit_entry")),
        sa.UniqueConstraint("note_id", name=op.f("uq_audit_entry_note_id")),
    )
    for columns in (["operator_id", "at"], ["operator_id", "table_name", "row_key"]):
        op.create_index(op.f("ix_audit_entry_" + "_".join(columns)), "audit_entry", columns)
    op.create_table(
        "audit_personal",
        sa.Column("note_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("note_id", name=op.f("pk_audit_personal")),
    )
    tenant_walls("audit_entry", "audit_personal")
    append_only("audit_entry", service="identity")
    op.execute("revoke update on audit_personal from csms_identity")
