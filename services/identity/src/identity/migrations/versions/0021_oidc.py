"""OpenID providers of operators"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited
from common.migrate import tenant_walls

revision = "0021"
down_revision = "0020"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column(
        "login",
        sa.Column("break_glass", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_table(
        "oidc_provider",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("email_domains", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("newcomers_role", sa.String(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name=op.f("fk_oidc_provider_operator_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oidc_provider")),
        sa.UniqueConstraint("operator_id", name=op.f("uq_oidc_provider_operator_id")),
    )
    op.create_table(
        "oidc_subject",
        sa.Column("login_id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["login_id"], ["login.id"], name=op.f("fk_oidc_subject_login_id"), ondelete="cascade"
        ),
        sa.PrimaryKeyConstraint("login_id", "issuer", name=op.f("pk_oidc_subject")),
        sa.UniqueConstraint(
            "operator_id",
            "issuer",
            "subject",
            name=op.f("uq_oidc_subject_operator_id_issuer_subject"),
        ),
    )
    op.create_table(
        "oidc_begun",
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("handle_hash", sa.LargeBinary(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("provider_version", sa.Integer(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["oidc_provider.id"],
            name=op.f("fk_oidc_begun_provider_id"),
            ondelete="cascade",
        ),
        sa.PrimaryKeyConstraint("state_hash", name=op.f("pk_oidc_begun")),
    )
    op.create_index(op.f("ix_oidc_begun_network"), "oidc_begun", ["network"])
    op.create_index(op.f("ix_oidc_begun_expires_at"), "oidc_begun", ["expires_at"])
    op.create_index(op.f("ix_oidc_begun_provider_id"), "oidc_begun", ["provider_id"])
    tenant_walls("oidc_provider", "oidc_subject", "oidc_begun")
    audited("oidc_provider", secret=("sealed_secret",))
    audited("oidc_subject")
