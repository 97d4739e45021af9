"""QR codes of EVSEs"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited
from common.migrate import tenant_walls

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "qr_settings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("pay_url", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=False),
        sa.Column("apple_apps", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("android_apps", postgresql.JSONB(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qr_settings")),
        sa.UniqueConstraint("domain", name=op.f("uq_qr_settings_domain")),
        sa.UniqueConstraint("operator_id", name=op.f("uq_qr_settings_operator_id")),
    )
    op.create_table(
        "qr_logo",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_qr_logo")),
    )
    op.create_table(
        "qr_revision",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("reissued_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("operator_id", "code", name=op.f("pk_qr_revision")),
    )
    # No wall by location: a revision is of a code, which may stand at another location tomorrow;
    # staff reach one through its EVSE, which has that wall.
    tenant_walls("qr_settings", "qr_logo", "qr_revision")
    audited("qr_settings", secret=("sealed_key",))
    audited("qr_logo", secret=("image",))
    audited("qr_revision")
