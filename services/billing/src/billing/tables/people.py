"""What billing needs of identity's people, cards and companies, told by events. No names of people:
what is kept here is nobody's personal data but for the ids.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Index, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Table


class Person(Table):
    """A user who charges. group_ids: the user groups they are in."""

    __tablename__ = "person"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    group_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))


class Membership(Table):
    """The user groups that a user was in from a moment on."""

    __tablename__ = "membership"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    group_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))


class UserGroup(Table):
    __tablename__ = "user_group"

    group_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    deleted: Mapped[bool]


class Company(Table):
    __tablename__ = "company"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    name: Mapped[str]
    active: Mapped[bool]
    vat_id: Mapped[str | None]


class Card(Table):
    __tablename__ = "card"
    __table_args__ = (
        # Whose strategy all of a company's cards follow.
        Index("ix_card_master", "company_id", postgresql_where=text("company_master")),
    )

    card_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    user_id: Mapped[UUID | None]
    company_id: Mapped[UUID | None]
    company_master: Mapped[bool]
    cost_centre_id: Mapped[UUID | None]
    partner_id: Mapped[UUID | None]
    accounting_strategy_id: Mapped[UUID | None]
