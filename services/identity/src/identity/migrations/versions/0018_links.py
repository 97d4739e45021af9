"""invitations, registrations, new passwords and addresses; cards that their holders block"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited
from common.migrate import tenant_walls

revision = "0018"
down_revision = "0017"

MOMENT = sa.DateTime(timezone=True)


def _link(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.UniqueConstraint("token_hash", name=op.f(f"uq_{table}_token_hash")),
    ]


def upgrade() -> None:
    op.add_column("login", sa.Column("language", sa.String(), nullable=True))
    op.add_column(
        "card",
        sa.Column("own_block", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_card_own_block_blocks"), "card", "not own_block or not active"
    )
    _invitations()
    op.create_table(
        "password_reset",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("login_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        *_link("password_reset"),
        sa.ForeignKeyConstraint(
            ["login_id"], ["login.id"], name=op.f("fk_password_reset_login_id"), ondelete="cascade"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_reset")),
    )
    op.create_index(op.f("ix_password_reset_login_id"), "password_reset", ["login_id"])
    op.create_index(op.f("ix_password_reset_expires_at"), "password_reset", ["expires_at"])
    _registrations()
    op.create_table(
        "email_change",
        sa.Column("login_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        *_link("email_change"),
        sa.ForeignKeyConstraint(
            ["login_id"], ["login.id"], name=op.f("fk_email_change_login_id"), ondelete="cascade"
        ),
        sa.PrimaryKeyConstraint("login_id", name=op.f("pk_email_change")),
    )
    op.create_index(op.f("ix_email_change_expires_at"), "email_change", ["expires_at"])
    tenant_walls("invitation", "password_reset", "registration", "email_change")
    audited("invitation", secret=("token_hash",))


def _invitations() -> None:
    op.create_table(
        "invitation",
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("location_ids", postgresql.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("sent_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.Column("login_id", sa.Uuid(), nullable=True),
        *_link("invitation"),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(role = 'platform-admin') = (operator_id is null)",
            name=op.f("ck_invitation_operator_by_role"),
        ),
        sa.CheckConstraint(
            "location_ids is null or role in ('operator-staff', 'billing-clerk', 'read-only')",
            name=op.f("ck_invitation_locations_by_role"),
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name=op.f("fk_invitation_operator_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
    )
    op.create_index(
        "uq_invitation_operator_id_email",
        "invitation",
        [
            sa.text("coalesce(operator_id, '00000000-0000-0000-0000-000000000000'::uuid)"),
            "email",
        ],
        unique=True,
        postgresql_where=sa.text("used_at is null and revoked_at is null"),
    )
    op.create_index(op.f("ix_invitation_operator_id_id"), "invitation", ["operator_id", "id"])


def _registrations() -> None:
    op.create_table(
        "registration",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("ip", sa.String(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        *_link("registration"),
        sa.CheckConstraint(
            "(used_at is null) = (user_id is null) and (used_at is null) = "
            "(password_hash is not null)",
            name=op.f("ck_registration_user_once_used"),
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name=op.f("fk_registration_operator_id")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id", "user_id"],
            ["users.operator_id", "users.id"],
            name=op.f("fk_registration_operator_id_user_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registration")),
    )
    for columns in (["operator_id", "email"], ["operator_id", "user_id"], ["expires_at"]):
        name = op.f(f"ix_registration_{'_'.join(columns)}")
        op.create_index(name, "registration", columns)
