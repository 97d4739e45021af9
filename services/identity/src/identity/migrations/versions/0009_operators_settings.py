"""what operators are, legally and for their customers, what they decide, and their logos"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited
from common.migrate import tenant_walls

revision = "0009"
down_revision = "0008"

FACTS = (
    "legal_name", "street", "postal_code", "city", "country", "vat_id", "tax_number",
    "register_entry", "email", "phone", "website", "iban", "bic", "account_holder",
)  # fmt: skip


def upgrade() -> None:
    op.add_column(
        "operator",
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    for fact in FACTS:
        op.add_column("operator", sa.Column(fact, sa.String(), nullable=True))
    op.add_column(
        "operator",
        sa.Column(
            "languages",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{de,en}'"),
            nullable=False,
        ),
    )
    op.add_column(
        "operator",
        sa.Column("policies", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
    )
    op.create_table(
        "operator_logo",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name=op.f("fk_operator_logo_operator_id")
        ),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_operator_logo")),
    )
    tenant_walls("operator_logo")
    audited("operator_logo", secret=("image",))
