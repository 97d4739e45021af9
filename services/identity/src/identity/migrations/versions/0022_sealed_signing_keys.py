"""signing keys sealed, their public halves beside them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited

revision = "0022"
down_revision = "0021"

JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.add_column("signing_key", sa.Column("public_jwk", JSON, nullable=True))
    op.add_column("signing_key", sa.Column("sealed_jwk", sa.LargeBinary(), nullable=True))
    # The walls bind the owner too.
    op.execute("select set_config('csms.operator', '*', true)")
    op.execute("update signing_key set public_jwk = private_jwk - 'd'")
    op.alter_column("signing_key", "public_jwk", nullable=False)
    op.alter_column("signing_key", "private_jwk", nullable=True)
    op.create_check_constraint(
        op.f("ck_signing_key_one_private"),
        "signing_key",
        "(private_jwk is null) <> (sealed_jwk is null)",
    )
    audited("signing_key", secret=("private_jwk", "sealed_jwk", "public_jwk"))
