"""cards that were replaced, and uids as their kind has them"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

CONTRACT = "^([A-Z]{2}-?[A-Z0-9]{3}-?[A-Z0-9]{9}(-?[A-Z0-9])?|ERASED-[0-9A-F]{12})$"


def upgrade() -> None:
    op.add_column("card", sa.Column("replaced_by", sa.Uuid(), nullable=True))
    op.create_check_constraint(
        op.f("ck_card_uid_of_kind"), "card", "kind <> 'rfid' or length(uid) <= 20"
    )
    op.create_check_constraint(
        op.f("ck_card_contract"), "card", f"kind <> 'emaid' or uid ~ '{CONTRACT}'"
    )
