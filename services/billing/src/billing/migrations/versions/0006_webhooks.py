"""webhooks and what they are to be told"""

import sqlalchemy as sa
from alembic import op

from common.audit import NOISE, audited
from common.migrate import tenant_walls

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    nobody = "'00000000-0000-0000-0000-000000000000'::uuid"
    op.create_index(
        "uq_webhook_address",
        "webhook",
        ["operator_id", sa.text(f"coalesce(partner_id, {nobody})"), "url"],
        unique=True,
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhook.id"],
            name=op.f("fk_webhook_delivery_webhook_id"),
            ondelete="cascade",
        ),
        sa.PrimaryKeyConstraint("id", "webhook_id", name=op.f("pk_webhook_delivery")),
    )
    op.create_index(
        "ix_webhook_delivery_waiting",
        "webhook_delivery",
        ["webhook_id", "id"],
        postgresql_where=sa.text("delivered_at is null and given_up_at is null"),
    )
    op.create_index(
        op.f("ix_webhook_delivery_webhook_id_id"), "webhook_delivery", ["webhook_id", "id"]
    )
    op.create_index(op.f("ix_webhook_delivery_made_at"), "webhook_delivery", ["made_at"])
    tenant_walls("webhook", "webhook_delivery")
    audited("webhook", secret=("secret",), noise=(*NOISE, "failures", "paused_until"))
