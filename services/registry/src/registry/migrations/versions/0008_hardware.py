"""places, hardware and templates"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited
from common.migrate import MY_LOCATIONS, location_walls, tenant_walls
from common.sql_views import Shown, show_more

revision = "0008"
down_revision = "0007"

CODE = sa.text("replace(code, '*', '')")
DOCUMENT = postgresql.JSONB(none_as_null=True)

LOCATION = (
    Shown("publish", "whether it is shown to the public"),
    Shown("opening_times", "as JSON, OCPI's Hours; null: not known"),
    Shown("access", "as JSON: directions, parking_type, parking_restrictions, barrier"),
    Shown("facilities", "what else is there, as OCPI names it"),
    Shown("contacts", "as JSON: phone, email, website; null: the operator's own"),
)
STATION = (
    Shown("decommissioned_at", "when it was taken down for good; null: it stands"),
    Shown("decommission_reason", "why, in the words of who entered it"),
)
EVSE = (
    Shown("phases", "of AC: 1 or 3; null: DC, or not known"),
    Shown("physical_reference", "what is written on it"),
    Shown("floor_level", "of the building it is in"),
    Shown("meter", "as JSON: serial_number, model, public_key, the certificate and its dates"),
)
CONNECTOR = (
    Shown("max_voltage", "volts; of AC between a phase and neutral"),
    Shown("max_amperage", "amperes; of AC of each phase"),
)


def upgrade() -> None:
    op.add_column(
        "location", sa.Column("publish", sa.Boolean(), server_default=sa.true(), nullable=False)
    )
    for name in ("opening_times", "access", "contacts"):
        op.add_column("location", sa.Column(name, DOCUMENT, nullable=True))
    op.add_column(
        "location",
        sa.Column("facilities", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.create_table(
        "location_photo",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id", "location_id"],
            ["location.operator_id", "location.id"],
            name=op.f("fk_location_photo_operator_id_location_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location_photo")),
    )
    op.create_index(
        op.f("ix_location_photo_operator_id_location_id"),
        "location_photo",
        ["operator_id", "location_id"],
    )
    op.add_column("station", sa.Column("decommissioned_at", sa.DateTime(timezone=True)))
    op.add_column("station", sa.Column("decommission_reason", sa.Text()))

    op.add_column(
        "evse", sa.Column("retired", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("evse", sa.Column("phases", sa.Integer()))
    op.add_column("evse", sa.Column("physical_reference", sa.Text()))
    op.add_column("evse", sa.Column("floor_level", sa.Text()))
    op.add_column("evse", sa.Column("meter", DOCUMENT))
    op.drop_index("uq_evse_code", "evse")
    op.create_index(
        "uq_evse_code", "evse", [CODE], unique=True, postgresql_where=sa.text("not retired")
    )
    op.add_column("connector", sa.Column("max_voltage", sa.Integer()))
    op.add_column("connector", sa.Column("max_amperage", sa.Integer()))

    op.create_table(
        "station_template",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("code_pattern", sa.Text(), nullable=True),
        sa.Column("evses", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_station_template")),
        sa.UniqueConstraint(
            "operator_id", "name", name=op.f("uq_station_template_operator_id_name")
        ),
    )
    op.create_index(
        "uq_station_template_model",
        "station_template",
        ["operator_id", sa.text("lower(vendor)"), sa.text("lower(model)")],
        unique=True,
    )
    tenant_walls("location_photo", "station_template")
    location_walls("location_photo", condition=f"location_id = {MY_LOCATIONS}")
    audited("station_template")
    audited("location_photo", secret=("image",))
    show_more("locations", "location", LOCATION)
    show_more("stations", "station", STATION)
    show_more("evses", "evse", EVSE)
    show_more("connectors", "connector", CONNECTOR)
