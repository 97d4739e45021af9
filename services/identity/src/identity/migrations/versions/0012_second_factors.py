"""authenticator apps and recovery codes"""

import sqlalchemy as sa
from alembic import op

from common.audit import audited
from common.migrate import tenant_walls

revision = "0012"
down_revision = "0011"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "totp",
        sa.Column("login_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.Column("last_counter", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["login_id"], ["login.id"], name=op.f("fk_totp_login_id"), ondelete="cascade"
        ),
        sa.PrimaryKeyConstraint("login_id", name=op.f("pk_totp")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("login_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["login_id"],
            ["totp.login_id"],
            name=op.f("fk_recovery_code_login_id"),
            ondelete="cascade",
        ),
        sa.PrimaryKeyConstraint("login_id", "code_hash", name=op.f("pk_recovery_code")),
    )
    tenant_walls("totp", "recovery_code")
    audited("totp", secret=("sealed_secret",), noise=("last_counter",))
    audited("recovery_code", secret=("code_hash",))
