"""Who charges, and with what."""

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from identity.tables.declarative import Table, Versioned

# Country, provider, contract and check digit (ISO 15118-2, annex H), or what an erasure left of it.
CONTRACT: Final = "^([A-Z]{2}-?[A-Z0-9]{3}-?[A-Z0-9]{9}(-?[A-Z0-9])?|ERASED-[0-9A-F]{12})$"


class User(Versioned):
    """A person who charges. In the plural: user alone is a word of SQL."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("operator_id", "id"),
        UniqueConstraint("operator_id", "external_id"),
        CheckConstraint(
            "erased_at is null or email is null and external_id is null and not active",
            name="erased_is_nobody",
        ),
    )

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    name: Mapped[str]
    email: Mapped[str | None]
    external_id: Mapped[str | None]
    active: Mapped[bool]
    erased_at: Mapped[datetime | None]


class UserGroup(Versioned):
    """Any set of users; may carry a price, an event, a rule."""

    __tablename__ = "user_group"
    __table_args__ = (
        UniqueConstraint("operator_id", "id"),
        UniqueConstraint("operator_id", "name"),
    )

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    name: Mapped[str]


class UserGroupMember(Table):
    __tablename__ = "user_group_member"
    __table_args__ = (
        ForeignKeyConstraint(
            ["operator_id", "group_id"],
            ["user_group.operator_id", "user_group.id"],
            ondelete="cascade",
        ),
        ForeignKeyConstraint(["operator_id", "user_id"], ["users.operator_id", "users.id"]),
        Index(None, "operator_id", "user_id"),
    )

    operator_id: Mapped[UUID]
    group_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)


class Company(Versioned):
    """One master card and many user cards; only the master card's account is billed."""

    __tablename__ = "company"
    __table_args__ = (
        UniqueConstraint("operator_id", "id"),
        UniqueConstraint("operator_id", "external_id"),
    )

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    name: Mapped[str]
    external_id: Mapped[str | None]
    email: Mapped[str | None]  # where invoices go
    street: Mapped[str | None]
    postal_code: Mapped[str | None]
    city: Mapped[str | None]
    country: Mapped[str | None]  # ISO 3166-1 alpha-2
    vat_id: Mapped[str | None]
    active: Mapped[bool]


class CostCentre(Versioned):
    __tablename__ = "cost_centre"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "company_id"], ["company.operator_id", "company.id"]),
        UniqueConstraint("operator_id", "company_id", "id"),
        UniqueConstraint("operator_id", "company_id", "code"),
    )

    operator_id: Mapped[UUID]
    company_id: Mapped[UUID]
    code: Mapped[str]
    name: Mapped[str]


class Card(Versioned):
    __tablename__ = "card"
    __table_args__ = (
        UniqueConstraint("operator_id", "uid"),
        # Both columns, so that a card can never belong to another operator's user.
        ForeignKeyConstraint(["operator_id", "user_id"], ["users.operator_id", "users.id"]),
        CheckConstraint("blocked_reason is null or not active", name="reason_only_if_blocked"),
        CheckConstraint("valid_from < valid_until", name="valid_from_before_until"),
        CheckConstraint("group_id is not null or not master_pass", name="master_pass_of_group"),
        # With the company, so that a card can never have another company's cost centre.
        ForeignKeyConstraint(
            ["operator_id", "company_id", "cost_centre_id"],
            ["cost_centre.operator_id", "cost_centre.company_id", "cost_centre.id"],
        ),
        ForeignKeyConstraint(["operator_id", "company_id"], ["company.operator_id", "company.id"]),
        ForeignKeyConstraint(["operator_id", "partner_id"], ["partner.operator_id", "partner.id"]),
        CheckConstraint("company_id is not null or not company_master", name="master_of_company"),
        CheckConstraint(
            "company_id is not null or cost_centre_id is null", name="centre_of_company"
        ),
        CheckConstraint(
            "partner_id is null or user_id is null and company_id is null", name="partner_alone"
        ),
        # Only the master card's account is billed (a company's user cards have none).
        CheckConstraint(
            "company_id is null or company_master or accounting_strategy_id is null",
            name="strategy_not_on_user_card",
        ),
        CheckConstraint("not own_block or not active", name="own_block_blocks"),
        CheckConstraint("monthly_cap >= 0", name="cap_not_negative"),
        CheckConstraint("kind <> 'rfid' or length(uid) <= 20", name="uid_of_kind"),
        CheckConstraint(f"kind <> 'emaid' or uid ~ '{CONTRACT}'", name="contract"),
        Index(
            "uq_card_master_of_company",
            "company_id",
            unique=True,
            postgresql_where=text("company_master"),
        ),
        Index(None, "operator_id", "company_id"),
        Index(None, "operator_id", "partner_id", "id"),
        Index(None, "operator_id", "user_id"),
        Index(None, "operator_id", "group_id"),
        Index(None, "operator_id", "id"),
    )

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    uid: Mapped[str]  # uids.normal_uid
    kind: Mapped[str]
    user_id: Mapped[UUID | None]
    label: Mapped[str]
    active: Mapped[bool]
    blocked_reason: Mapped[str | None]
    valid_from: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]
    group_id: Mapped[str | None]  # uids.normal_uid
    master_pass: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    company_id: Mapped[UUID | None]
    company_master: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    cost_centre_id: Mapped[UUID | None]
    partner_id: Mapped[UUID | None]
    accounting_strategy_id: Mapped[UUID | None]  # billing's
    monthly_cap: Mapped[Decimal | None]  # gross, in the operator's currency
    replaced_by: Mapped[UUID | None]
    # Of a partner's card: when the partner said last what it is. None: it never did, but
    # accepted the token when it was asked.
    pushed_at: Mapped[datetime | None]
    # Blocked by the operator's staff, whatever a partner says.
    held: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # Blocked by its holder, who may undo that; whatever staff say of it ends this.
    own_block: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
