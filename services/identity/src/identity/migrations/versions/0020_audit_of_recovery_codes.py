"""recovery codes are not noted: their key is a secret's hash, and totp tells of them"""

from alembic import op

from common.audit import TRANSITIONS

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    for action in TRANSITIONS:
        op.execute(f"drop trigger note_{action} on recovery_code")
