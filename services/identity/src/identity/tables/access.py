"""What decides beside the card whether it may charge; told by other services."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.station_groups import StationGroupColumns, StationGroupMemberColumns
from identity.tables.declarative import Table, Versioned


class Tariff(Table):
    """Told by billing. Only whether an operator has a price is of interest here."""

    __tablename__ = "tariff"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    tariff_id: Mapped[UUID] = mapped_column(primary_key=True)
    valid_from: Mapped[datetime]
    told_at: Mapped[datetime]  # occurred_at of the event that this row comes from


class AccountingStrategy(Table):
    """Told by billing: where it gives a card a price that the operator's own tariff does not."""

    __tablename__ = "accounting_strategy"

    strategy_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    active: Mapped[bool]
    tariffs: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # events.StrategyPlace


class StrategyAssignment(Table):
    """Told by billing. One that was taken away stays as its version."""

    __tablename__ = "strategy_assignment"
    __table_args__ = (Index(None, "operator_id", "holder_kind", "holder_id"),)

    assignment_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    strategy_id: Mapped[UUID]
    holder_kind: Mapped[str]
    holder_id: Mapped[UUID | None]
    priority: Mapped[int]
    removed: Mapped[bool]


class Station(Table):
    """Told by registry: where it stands, for rules of locations."""

    __tablename__ = "station"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    location_id: Mapped[UUID | None]


class StationGroup(StationGroupColumns, Table):
    """Told by registry."""


class StationGroupMember(StationGroupMemberColumns, Table):
    """Told by registry, maybe before the group or the station."""


class AccessRule(Versioned):
    """Who may charge where and when (access.rules)."""

    __tablename__ = "access_rule"
    __table_args__ = (
        UniqueConstraint("operator_id", "name"),
        CheckConstraint("effect in ('deny', 'reserve', 'confine')", name="effect"),
        Index(None, "operator_id", "id"),
    )

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    name: Mapped[str]
    effect: Mapped[str]
    holders: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    places: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    windows: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]
    active: Mapped[bool]


class Agreement(Table):
    """Told by billing: where and when a partner's cards may charge."""

    __tablename__ = "agreement"
    __table_args__ = (Index(None, "operator_id"),)

    agreement_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    partner_id: Mapped[UUID]
    name: Mapped[str]
    places: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]


class AccessRevision(Table):
    """Grows with each change of an operator's rules: compiled ones of an older one are stale."""

    __tablename__ = "access_revision"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)


class AccountStanding(Table):
    """Told by billing: whether an account of a user, company or card may pay for a session."""

    __tablename__ = "account_standing"
    __table_args__ = (Index(None, "operator_id", "owner_kind", "owner_id"),)

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    owner_kind: Mapped[str]
    owner_id: Mapped[UUID]
    may_charge: Mapped[bool]
    reason: Mapped[str | None]  # no_credit, blocked, chargeback, closed


class CardMonth(Table):
    """What a card has spent in a month of its sessions' ends, gross; told by billing."""

    __tablename__ = "card_month"

    card_id: Mapped[UUID] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)  # its first day
    operator_id: Mapped[UUID]
    spent: Mapped[Decimal]
