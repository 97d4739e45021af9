"""QR codes: what an operator sets for them, and which revision of a code is good."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.single import VersionedColumns
from registry.tables.declarative import Table


class QrSettings(VersionedColumns, Table):
    """The domain is unique on the platform: a request is known by its host."""

    __tablename__ = "qr_settings"
    __table_args__ = (UniqueConstraint("operator_id"), UniqueConstraint("domain"))

    operator_id: Mapped[UUID]
    domain: Mapped[str]
    pay_url: Mapped[str]
    brand: Mapped[str]
    apple_apps: Mapped[list[str]] = mapped_column(ARRAY(Text))
    android_apps: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    layout: Mapped[str]
    sealed_key: Mapped[bytes] = mapped_column(LargeBinary)  # of the tags


class QrLogo(Table):
    __tablename__ = "qr_logo"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    image: Mapped[bytes] = mapped_column(LargeBinary)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    changed_at: Mapped[datetime]


class QrRevision(Table):
    """Of an EVSE code that was issued again; one without a row has revision 1.

    By the code and not by the EVSE, whose row goes with each change of its station: a tag that was
    superseded never comes back, wherever the code is used next.
    """

    __tablename__ = "qr_revision"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)  # without separators
    revision: Mapped[int] = mapped_column(Integer)
    reissued_at: Mapped[datetime]
