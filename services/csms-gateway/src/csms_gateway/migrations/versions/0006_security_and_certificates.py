"""security and certificates"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

from common.migrate import tenant_walls

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "certificate_authority",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False, comment="station or v2g"),
        sa.Column("algorithm", sa.Text(), nullable=False, comment="rsa or ecdsa"),
        sa.Column("certificate", sa.Text(), nullable=False, comment="PEM"),
        sa.Column(
            "private_key",
            sa.LargeBinary(),
            nullable=False,
            comment="encrypted with the setting secret_key",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate_authority")),
        sa.UniqueConstraint(
            "operator_id",
            "use",
            "algorithm",
            name=op.f("uq_certificate_authority_operator_id_use_algorithm"),
        ),
    )
    op.create_table(
        "installed_certificate",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("hash_algorithm", sa.Text(), nullable=False),
        sa.Column("issuer_name_hash", sa.Text(), nullable=False),
        sa.Column("issuer_key_hash", sa.Text(), nullable=False),
        sa.Column("serial_number", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column(
            "children",
            postgresql.JSONB(astext_type=Text()),
            nullable=True,
            comment="hash data of the chain's other certificates",
        ),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "station_id",
            "use",
            "hash_algorithm",
            "issuer_name_hash",
            "issuer_key_hash",
            "serial_number",
            name=op.f("pk_installed_certificate"),
        ),
    )
    op.create_table(
        "issued_certificate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False, comment="station or v2g"),
        sa.Column("certificate", sa.Text(), nullable=False, comment="PEM, the chain as it is sent"),
        sa.Column(
            "fingerprint", sa.Text(), nullable=False, comment="SHA-256 of the DER form, in hex"
        ),
        sa.Column(
            "request_digest", sa.Text(), nullable=False, comment="SHA-256 of the CSR, in hex"
        ),
        sa.Column("serial_number", sa.Text(), nullable=False, comment="in hex"),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="issued, accepted or rejected"),
        sa.Column(
            "command_id",
            sa.Uuid(),
            nullable=False,
            comment="the certificate_signed that carries it",
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('issued', 'accepted', 'rejected')", name=op.f("ck_issued_certificate_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issued_certificate")),
        sa.UniqueConstraint(
            "station_id", "fingerprint", name=op.f("uq_issued_certificate_station_id_fingerprint")
        ),
    )
    op.create_index(
        "ix_issued_certificate_not_after", "issued_certificate", ["not_after"], unique=False
    )
    op.create_index(
        "ix_issued_certificate_station", "issued_certificate", ["station_id", "id"], unique=False
    )
    op.create_table(
        "operator_name",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_operator_name")),
    )
    op.create_table(
        "refused_station",
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column("refused_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("station_id", name=op.f("pk_refused_station")),
    )
    op.add_column(
        "command",
        sa.Column(
            "secrets",
            sa.Text(),
            nullable=True,
            comment="passwords taken out of the parameters, encrypted; gone once it is finished",
        ),
    )
    op.add_column(
        "station",
        sa.Column(
            "security_version",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="grows when staff change how it may connect",
        ),
    )
    op.add_column(
        "station",
        sa.Column(
            "certificate_name",
            sa.Text(),
            nullable=True,
            comment="the common name of its certificates if it is not its id: a serial number",
        ),
    )
    op.add_column(
        "station",
        sa.Column(
            "last_certificate",
            postgresql.JSONB(astext_type=Text()),
            nullable=True,
            comment="the one it last connected with",
        ),
    )
    tenant_walls(
        "certificate_authority",
        "issued_certificate",
        "installed_certificate",
        "operator_name",
        "refused_station",
    )
