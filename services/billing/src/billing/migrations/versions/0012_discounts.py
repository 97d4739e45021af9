"""discounts, price events, their quotas and what they gave"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited
from common.migrate import append_only, location_walls, tenant_walls

revision = "0012"
down_revision = "0011"

TEXTS = postgresql.ARRAY(sa.Text())
NOW = sa.text("now()")


def upgrade() -> None:
    _discounts()
    _quotas()
    _grants()
    _previews()
    tenant_walls("discount", "quota_use", "discount_grant", "discount_preview")
    location_walls("discount_grant")
    append_only("discount_grant", service="billing")
    audited("discount")


def _discounts() -> None:
    op.create_table(
        "discount",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("strategy_id", sa.Uuid(), nullable=True),
        sa.Column("people", TEXTS, nullable=False),
        sa.Column("places", TEXTS, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("components", TEXTS, nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=False), nullable=True),
        sa.Column("valid_until", sa.DateTime(timezone=False), nullable=True),
        sa.Column("weekdays", TEXTS, nullable=False),
        sa.Column("time_from", sa.Text(), nullable=True),
        sa.Column("time_until", sa.Text(), nullable=True),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("quota_unit", sa.Text(), nullable=True),
        sa.Column("quota_size", sa.Numeric(), nullable=True),
        sa.Column("quota_per", sa.Text(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "valid_from < valid_until", name=op.f("ck_discount_valid_from_before_until")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discount")),
    )
    op.create_index(
        op.f("ix_discount_operator_id_form_id"), "discount", ["operator_id", "form", "id"]
    )
    op.create_index(
        "ix_discount_active",
        "discount",
        ["operator_id", "activated_at"],
        postgresql_where=sa.text("activated_at is not null"),
    )


def _quotas() -> None:
    op.create_table(
        "quota_use",
        sa.Column("discount_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.Numeric(), nullable=False),
        sa.Column("used", sa.Numeric(), nullable=False),
        sa.CheckConstraint("used >= 0 and used <= size", name=op.f("ck_quota_use_within_size")),
        sa.ForeignKeyConstraint(
            ["discount_id"], ["discount.id"], name=op.f("fk_quota_use_discount_id")
        ),
        sa.PrimaryKeyConstraint("discount_id", "subject", "month", name=op.f("pk_quota_use")),
    )


def _grants() -> None:
    op.create_table(
        "discount_grant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("discount_id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("granted_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["discount_id"], ["discount.id"], name=op.f("fk_discount_grant_discount_id")
        ),
        sa.PrimaryKeyConstraint("discount_id", "cause", name=op.f("pk_discount_grant")),
        sa.UniqueConstraint("id", name=op.f("uq_discount_grant_id")),
    )
    op.create_index(op.f("ix_discount_grant_session_id"), "discount_grant", ["session_id"])
    op.create_index(
        op.f("ix_discount_grant_operator_id_discount_id_id"),
        "discount_grant",
        ["operator_id", "discount_id", "id"],
    )


def _previews() -> None:
    op.create_table(
        "discount_preview",
        sa.Column("discount_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("of_version", sa.Integer(), nullable=False),
        sa.Column("ended_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_to", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sessions_total", sa.Integer(), nullable=True),
        sa.Column("sessions_done", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("result", postgresql.JSONB(), nullable=True),
        sa.ForeignKeyConstraint(
            ["discount_id"],
            ["discount.id"],
            name=op.f("fk_discount_preview_discount_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("discount_id", name=op.f("pk_discount_preview")),
    )
    op.create_index(
        "ix_discount_preview_waiting",
        "discount_preview",
        ["asked_at"],
        postgresql_where=sa.text("finished_at is null"),
    )
