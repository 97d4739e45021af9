"""where people are signed in, API keys, staff of some locations only, and drivers' logins"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrate import tenant_walls

revision = "0005"
down_revision = "0004"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _logins()
    op.create_table(
        "sign_in",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("login_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("ip", sa.String(), nullable=True),
        sa.Column("user_agent", sa.String(), nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.Column("revoked_why", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["login_id"], ["login.id"], name=op.f("fk_sign_in_login_id"), ondelete="cascade"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in")),
    )
    op.create_index(op.f("ix_sign_in_login_id"), "sign_in", ["login_id"])
    op.create_index(op.f("ix_sign_in_expires_at"), "sign_in", ["expires_at"])
    op.create_table(
        "refresh_token",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sign_in_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["sign_in_id"],
            ["sign_in.id"],
            name=op.f("fk_refresh_token_sign_in_id"),
            ondelete="cascade",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_token")),
    )
    op.create_index(op.f("ix_refresh_token_sign_in_id"), "refresh_token", ["sign_in_id"])
    _api_keys()
    tenant_walls("sign_in", "refresh_token", "api_key")


def _logins() -> None:
    op.alter_column("login", "password_hash", existing_type=sa.String(), nullable=True)
    op.add_column("login", sa.Column("location_ids", postgresql.ARRAY(sa.Uuid()), nullable=True))
    op.add_column("login", sa.Column("user_id", sa.Uuid(), nullable=True))
    op.add_column("login", sa.Column("last_sign_in_at", MOMENT, nullable=True))
    op.drop_constraint("uq_login_email", "login", type_="unique")
    op.create_index(
        "uq_login_email",
        "login",
        ["email"],
        unique=True,
        postgresql_where=sa.text("role <> 'driver'"),
    )
    op.create_index(
        "uq_login_operator_id_email",
        "login",
        ["operator_id", "email"],
        unique=True,
        postgresql_where=sa.text("role = 'driver'"),
    )
    op.create_check_constraint(
        op.f("ck_login_user_by_role"), "login", "(role = 'driver') = (user_id is not null)"
    )
    op.create_check_constraint(
        op.f("ck_login_locations_by_role"),
        "login",
        "location_ids is null or role in ('operator-staff', 'billing-clerk', 'read-only')",
    )
    op.create_foreign_key(
        op.f("fk_login_operator_id_user_id"),
        "login",
        "users",
        ["operator_id", "user_id"],
        ["operator_id", "id"],
    )


def _api_keys() -> None:
    op.create_table(
        "api_key",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("location_ids", postgresql.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.Column("last_used_ip", sa.String(), nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name=op.f("fk_api_key_operator_id")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id", "partner_id"],
            ["partner.operator_id", "partner.id"],
            name=op.f("fk_api_key_operator_id_partner_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_key_key_hash")),
    )
    op.create_index(op.f("ix_api_key_operator_id_id"), "api_key", ["operator_id", "id"])
