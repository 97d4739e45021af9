"""What charging costs: tariffs, and agreements with partners."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Key, SetNow, Table
from common.single import VersionedColumns


class Tariff(Table):
    """One version; valid from its moment until the next one's of its series. It does not change,
    but may be withdrawn before it is valid.

    An operator's own series prices whoever has nothing else. One that is agreed only is valid where
    a strategy or an agreement names it. With a definition the simple prices are the highest in it.
    """

    __tablename__ = "tariff"
    __table_args__ = (
        UniqueConstraint("operator_id", "id"),
        # Unique: two versions from one moment on would be an overlap.
        Index(
            None,
            "operator_id",
            "valid_from",
            unique=True,
            postgresql_where=text("not agreed_only and withdrawn_at is null"),
        ),
        Index(
            None,
            "series_id",
            "valid_from",
            unique=True,
            postgresql_where=text("withdrawn_at is null"),
        ),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    series_id: Mapped[UUID]
    name: Mapped[str]
    currency: Mapped[str]
    tax_included: Mapped[bool]
    vat_percent: Mapped[Decimal]
    energy_price: Mapped[Decimal]  # per kWh
    time_price: Mapped[Decimal]  # per minute
    start_fee: Mapped[Decimal]
    # billing.definitions.Definition
    definition: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    valid_from: Mapped[datetime]
    agreed_only: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    created_at: Mapped[SetNow]
    withdrawn_at: Mapped[datetime | None]


class Agreement(VersionedColumns, Table):
    """Where a partner's cards may charge, and at which price."""

    __tablename__ = "agreement"
    __table_args__ = (
        UniqueConstraint("operator_id", "name"),
        ForeignKeyConstraint(["operator_id", "tariff_id"], ["tariff.operator_id", "tariff.id"]),
        CheckConstraint("valid_from <= valid_until", name="valid_from_before_until"),
        Index(None, "operator_id", "partner_id"),
    )

    operator_id: Mapped[UUID]
    partner_id: Mapped[UUID]
    name: Mapped[str]
    places: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]  # the last day
    tariff_id: Mapped[UUID | None]  # None: the operator's own price
