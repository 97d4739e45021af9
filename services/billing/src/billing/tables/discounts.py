"""Discounts and price events, what of them is used up, and what each gave to which session."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import SetNow, Table
from common.single import VersionedColumns

Texts = Annotated[list[str], mapped_column(ARRAY(Text))]
# By the clock on the wall of the place: without a time zone.
Local = Annotated[datetime | None, mapped_column(DateTime(timezone=False), nullable=True)]


class Discount(VersionedColumns, Table):
    """A discount or, by its form, a price event; nothing of it changes once it is active."""

    __tablename__ = "discount"
    __table_args__ = (
        CheckConstraint("valid_from < valid_until", name="valid_from_before_until"),
        Index(None, "operator_id", "form", "id"),
        # What a session that begins may get.
        Index(
            "ix_discount_active",
            "operator_id",
            "activated_at",
            postgresql_where=text("activated_at is not null"),
        ),
    )

    operator_id: Mapped[UUID]
    form: Mapped[str]  # discount, price_event
    name: Mapped[str]
    strategy_id: Mapped[UUID | None]  # None: with any or none
    # kind:id, of users and user groups; none: everybody.
    people: Mapped[Texts]
    # kind:id, of stations, station groups and locations; or everywhere.
    places: Mapped[Texts]
    kind: Mapped[str]  # as in rating.model.Modifier
    amount: Mapped[Decimal]
    currency: Mapped[str | None]
    components: Mapped[Texts]
    valid_from: Mapped[Local]
    valid_until: Mapped[Local]
    weekdays: Mapped[Texts]  # none: every day
    time_from: Mapped[str | None]  # HH:MM
    time_until: Mapped[str | None]
    exclusive: Mapped[bool]
    priority: Mapped[int]
    quota_unit: Mapped[str | None]  # kwh, minutes, amount, sessions
    quota_size: Mapped[Decimal | None]
    quota_per: Mapped[str | None]  # user_month, session, total
    made_at: Mapped[SetNow]
    activated_at: Mapped[datetime | None]  # None: a draft
    ends_at: Mapped[datetime | None]  # set by whoever ended it before its time


class QuotaUse(Table):
    """What of a quota is used up: the sum of what was granted under the same key."""

    __tablename__ = "quota_use"
    __table_args__ = (
        # Whatever the code does: never over the quota.
        CheckConstraint("used >= 0 and used <= size", name="within_size"),
    )

    discount_id: Mapped[UUID] = mapped_column(ForeignKey("discount.id"), primary_key=True)
    # The user, or the card if it has none; zero: a quota of all together.
    subject: Mapped[UUID] = mapped_column(primary_key=True)
    month: Mapped[str] = mapped_column(primary_key=True)  # YYYY-MM, local; empty: of all time
    operator_id: Mapped[UUID]
    size: Mapped[Decimal]  # Wh, seconds, money or sessions
    used: Mapped[Decimal]


class DiscountGrant(Table):
    """What a discount gave to a session; what takes it back is one more row. Never changed."""

    __tablename__ = "discount_grant"
    __table_args__ = (
        Index(None, "session_id"),
        Index(None, "operator_id", "discount_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(unique=True)
    discount_id: Mapped[UUID] = mapped_column(ForeignKey("discount.id"), primary_key=True)
    # The session where one of a number was reserved, else the record; once each.
    cause: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    session_id: Mapped[UUID]
    station_id: Mapped[str]
    subject: Mapped[UUID]
    month: Mapped[str]
    quantity: Mapped[Decimal]  # of the quota, in its unit; negative: given back
    amount: Mapped[Decimal]  # taken off the price; negative: taken back
    currency: Mapped[str | None]
    granted_at: Mapped[SetNow]


class DiscountPreview(Table):
    """What the sessions of some time would have cost with a draft; the latest one of each."""

    __tablename__ = "discount_preview"
    __table_args__ = (
        Index(
            "ix_discount_preview_waiting",
            "asked_at",
            postgresql_where=text("finished_at is null"),
        ),
    )

    discount_id: Mapped[UUID] = mapped_column(
        ForeignKey("discount.id", ondelete="CASCADE"), primary_key=True
    )
    operator_id: Mapped[UUID]
    id: Mapped[UUID]  # of this asking
    of_version: Mapped[int]  # the discount's when it was asked for
    ended_from: Mapped[datetime]
    ended_to: Mapped[datetime]
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]
    beat_at: Mapped[datetime | None]  # by whoever works on it
    sessions_total: Mapped[int | None]
    sessions_done: Mapped[int]
    finished_at: Mapped[datetime | None]
    failure: Mapped[str | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
