"""The tenants."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from identity.tables.declarative import Table, Versioned


class Operator(Versioned):
    __tablename__ = "operator"

    name: Mapped[str]
    time_zone: Mapped[str]
    currency: Mapped[str]
    # Not active: nobody signs in and no card charges; the data stays.
    active: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    legal_name: Mapped[str | None]
    street: Mapped[str | None]
    postal_code: Mapped[str | None]
    city: Mapped[str | None]
    country: Mapped[str | None]  # ISO 3166-1 alpha-2
    vat_id: Mapped[str | None]
    tax_number: Mapped[str | None]
    register_entry: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]  # E.164
    website: Mapped[str | None]
    iban: Mapped[str | None]  # without blanks
    bic: Mapped[str | None]
    account_holder: Mapped[str | None]
    languages: Mapped[list[str]] = mapped_column(  # BCP 47; the first is the default
        ARRAY(Text), server_default=text("'{de,en}'")
    )
    policies: Mapped[dict[str, Any]] = mapped_column(  # identity.policies.Policies
        JSONB, default=dict, server_default=text("'{}'")
    )


class OperatorLogo(Table):
    """In a table of its own, so that no list of operators carries it along."""

    __tablename__ = "operator_logo"

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"), primary_key=True)
    image: Mapped[bytes] = mapped_column(LargeBinary)
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    digest: Mapped[str]  # of the image: SHA-256, the first 32 hex digits
    changed_at: Mapped[datetime]
