"""sessions of a station and of a partner are listed by their start"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    # First, so that the strongest lock is taken while none is held that others wait for.
    for former in ("operator_id_station_id_id", "partner_id_id"):
        op.drop_index(op.f(f"ix_session_{former}"), "session")
    op.create_index(
        op.f("ix_session_operator_id_station_id_started_at_id"),
        "session",
        ["operator_id", "station_id", "started_at", "id"],
    )
    op.create_index(
        op.f("ix_session_partner_id_started_at_id"),
        "session",
        ["partner_id", "started_at", "id"],
        postgresql_where=sa.text("partner_id is not null"),
    )
    op.create_index(
        op.f("ix_decision_operator_id_verdict_session_id"),
        "decision",
        ["operator_id", "verdict", "session_id"],
    )
