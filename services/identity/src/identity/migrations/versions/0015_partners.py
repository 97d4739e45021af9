"""how partners say which cards are theirs: pushed lists, and asked in real time"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import NOISE, TRANSITIONS, audited
from common.migrate import tenant_walls

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    _partner()
    op.add_column("card", sa.Column("pushed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "card", sa.Column("held", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    _audited_anew()
    _lists()
    tenant_walls("partner_list", "partner_list_part", "partner_list_card")
    audited("partner_list")


def _audited_anew() -> None:
    """Of the secret the audit log says only that there is one, of pushed_at nothing."""
    for action in TRANSITIONS:
        for table in ("partner", "card"):
            op.execute(f"drop trigger note_{action} on {table}")
    audited("partner", secret=("secret",))
    audited("card", noise=(*NOISE, "pushed_at"))


def _partner() -> None:
    op.add_column("partner", sa.Column("email", sa.String(), nullable=True))
    op.add_column("partner", sa.Column("mode", sa.String(), server_default="list", nullable=False))
    op.add_column("partner", sa.Column("endpoint", sa.String(), nullable=True))
    op.add_column("partner", sa.Column("secret", sa.LargeBinary(), nullable=True))
    op.add_column(
        "partner", sa.Column("fallback", sa.String(), server_default="list", nullable=False)
    )
    op.add_column(
        "partner",
        sa.Column("prefixes", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_partner_real_time_complete"),
        "partner",
        "mode <> 'real_time' or endpoint is not null and secret is not null",
    )


def _lists() -> None:
    op.create_table(
        "partner_list",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", postgresql.JSONB(), nullable=True),
        sa.ForeignKeyConstraint(
            ["operator_id", "partner_id"],
            ["partner.operator_id", "partner.id"],
            name=op.f("fk_partner_list_operator_id_partner_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_list")),
        sa.UniqueConstraint("number", name=op.f("uq_partner_list_number")),
        sa.UniqueConstraint(
            "partner_id", "idempotency_key", name=op.f("uq_partner_list_partner_id_idempotency_key")
        ),
    )
    op.create_index(op.f("ix_partner_list_partner_id_id"), "partner_list", ["partner_id", "id"])
    op.create_table(
        "partner_list_part",
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("cards", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"],
            ["partner_list.id"],
            name=op.f("fk_partner_list_part_list_id"),
            ondelete="cascade",
        ),
        sa.PrimaryKeyConstraint("list_id", "number", name=op.f("pk_partner_list_part")),
    )
    op.create_table(
        "partner_list_card",
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("card_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("blocked_reason", sa.String(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("group_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("list_id", "uid", name=op.f("pk_partner_list_card")),
    )
