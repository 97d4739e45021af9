"""Accounting strategies, who has which, and the prices that stations show."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Table
from common.single import VersionedColumns


class AccountingStrategy(VersionedColumns, Table):
    """How accounts pay, and by which tariffs where. Sums are in its currency."""

    __tablename__ = "accounting_strategy"
    __table_args__ = (
        UniqueConstraint("operator_id", "name"),
        UniqueConstraint("operator_id", "id"),
    )

    operator_id: Mapped[UUID]
    name: Mapped[str]
    active: Mapped[bool]
    method: Mapped[str]  # terms.Method
    currency: Mapped[str]
    tax: Mapped[str]  # rating.model.TaxTreatment
    payment_method: Mapped[str]
    credit_limit: Mapped[Decimal | None]  # None: none is set
    minimum_topup: Mapped[Decimal | None]
    minimum_balance: Mapped[Decimal | None]  # to begin a session with
    minimum_invoice: Mapped[Decimal | None]  # less is carried over
    prepaid_estimate: Mapped[Decimal | None]  # held when a session begins
    tariffs: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # strategies.TariffThere


class StrategyAssignment(VersionedColumns, Table):
    """Who has been given a strategy. A card carries its own, see identity."""

    __tablename__ = "strategy_assignment"
    __table_args__ = (
        ForeignKeyConstraint(
            ["operator_id", "strategy_id"],
            ["accounting_strategy.operator_id", "accounting_strategy.id"],
        ),
        UniqueConstraint("operator_id", "holder_kind", "holder_id"),
        # To a unique constraint two nulls differ, and NULLS NOT DISTINCT needs PostgreSQL 15.
        Index(
            "uq_strategy_assignment_everybody",
            "operator_id",
            unique=True,
            postgresql_where=text("holder_kind = 'everybody'"),
        ),
        CheckConstraint("(holder_kind = 'everybody') = (holder_id is null)", name="holder"),
        Index(None, "strategy_id"),
    )

    operator_id: Mapped[UUID]
    holder_kind: Mapped[str]  # pricing.choosing.HolderKind
    holder_id: Mapped[UUID | None]
    strategy_id: Mapped[UUID]
    priority: Mapped[int]


class DisplayChange(Table):
    """The prices that an operator's stations show may have changed; triggers write it.

    Rows of its own, so that writers never wait for each other.
    """

    __tablename__ = "display_change"
    __table_args__ = (Index(None, "operator_id"),)

    seq: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    operator_id: Mapped[UUID]


class DisplayRound(Table):
    """How often an operator's prices were looked at, and when the clock changes one next."""

    __tablename__ = "display_round"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    due_at: Mapped[datetime] = mapped_column(index=True)


class DisplayPrice(Table):
    """What was told last of what a station shows."""

    __tablename__ = "display_price"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    # common.events.DisplayPrice; None: there is no price.
    shown: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
