"""variables and registration"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

from common.migrate import tenant_walls

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("create sequence variable_id_seq")
    op.create_table(
        "variable",
        sa.Column(
            "id",
            sa.BigInteger(),
            server_default=sa.text("nextval('variable_id_seq')"),
            nullable=False,
        ),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column(
            "component", sa.Text(), nullable=False, comment="empty: a configuration key of OCPP 1.6"
        ),
        sa.Column("component_instance", sa.Text(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("connector_id", sa.Integer(), nullable=False),
        sa.Column("variable", sa.Text(), nullable=False),
        sa.Column("variable_instance", sa.Text(), nullable=False),
        sa.Column(
            "attribute", sa.Text(), nullable=False, comment="Actual, Target, MinSet or MaxSet"
        ),
        sa.Column("value", sa.Text(), nullable=True, comment="null: write-only, or never told"),
        sa.Column("mutability", sa.Text(), nullable=True),
        sa.Column("characteristics", postgresql.JSONB(astext_type=Text()), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_variable")),
        sa.UniqueConstraint(
            "station_id",
            "component",
            "component_instance",
            "evse_id",
            "connector_id",
            "variable",
            "variable_instance",
            "attribute",
            name="uq_variable_name",
        ),
    )
    op.add_column(
        "station",
        sa.Column(
            "boot_answer",
            sa.Text(),
            server_default="accepted",
            nullable=False,
            comment="what the newest BootNotification was answered: by it the station lives",
        ),
    )
    op.add_column(
        "station",
        sa.Column(
            "inventory_of",
            sa.Text(),
            nullable=True,
            comment="the firmware whose device model was last asked for by itself",
        ),
    )
    op.create_check_constraint(
        "boot_answer", "station", "boot_answer in ('accepted', 'pending', 'rejected')"
    )
    op.create_index(
        "ix_notification_customer",
        "notification",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("action = 'NotifyCustomerInformation'"),
    )
    tenant_walls("variable")
