"""Certificates: who signs them, which were signed, and which a station says it has."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from csms_gateway.tables.declarative import Table


class CertificateAuthority(Table):
    """An operator's own root. One for each kind of key, for some chargers know only one."""

    __tablename__ = "certificate_authority"
    __table_args__ = (UniqueConstraint("operator_id", "use", "algorithm"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID]
    use: Mapped[str] = mapped_column(comment="station or v2g")
    algorithm: Mapped[str] = mapped_column(comment="rsa or ecdsa")
    certificate: Mapped[str] = mapped_column(comment="PEM")
    private_key: Mapped[bytes] = mapped_column(
        LargeBinary, comment="encrypted with the setting secret_key"
    )
    created_at: Mapped[datetime]


class IssuedCertificate(Table):
    __tablename__ = "issued_certificate"
    __table_args__ = (
        CheckConstraint("state in ('issued', 'accepted', 'rejected')", name="state"),
        UniqueConstraint("station_id", "fingerprint"),
        Index("ix_issued_certificate_station", "station_id", "id"),
        Index("ix_issued_certificate_not_after", "not_after"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID]
    station_id: Mapped[str]
    use: Mapped[str] = mapped_column(comment="station or v2g")
    certificate: Mapped[str] = mapped_column(comment="PEM, the chain as it is sent")
    fingerprint: Mapped[str] = mapped_column(comment="SHA-256 of the DER form, in hex")
    request_digest: Mapped[str] = mapped_column(comment="SHA-256 of the CSR, in hex")
    serial_number: Mapped[str] = mapped_column(comment="in hex")
    not_before: Mapped[datetime]
    not_after: Mapped[datetime]
    issued_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="issued", comment="issued, accepted or rejected")
    command_id: Mapped[UUID] = mapped_column(comment="the certificate_signed that carries it")
    revoked_at: Mapped[datetime | None]


class InstalledCertificate(Table):
    """What a station said at its last GetInstalledCertificateIds, or took by InstallCertificate."""

    __tablename__ = "installed_certificate"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    use: Mapped[str] = mapped_column(primary_key=True)
    hash_algorithm: Mapped[str] = mapped_column(primary_key=True)
    issuer_name_hash: Mapped[str] = mapped_column(primary_key=True)
    issuer_key_hash: Mapped[str] = mapped_column(primary_key=True)
    serial_number: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    children: Mapped[list[dict[str, Any]] | None] = mapped_column(
        comment="hash data of the chain's other certificates"
    )
    told_at: Mapped[datetime]


class OperatorName(Table):
    """Certificates carry their owner's name (OCPP 2.0.1, A00.FR.404); and how long the tokens in
    its sessions are kept.
    """

    __tablename__ = "operator_name"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    name: Mapped[str]
    personal_data_days: Mapped[int | None]


class RefusedStation(Table):
    """An unknown station that nobody wants; not even asked about until then."""

    __tablename__ = "refused_station"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID | None]
    refused_until: Mapped[datetime]
