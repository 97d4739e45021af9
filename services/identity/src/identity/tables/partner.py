"""Foreign issuers of cards: car sharing, other providers; and the lists of cards they push."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.ids import uuid7
from identity.tables.declarative import Table, Versioned


class Partner(Versioned):
    __tablename__ = "partner"
    __table_args__ = (
        UniqueConstraint("operator_id", "id"),
        UniqueConstraint("operator_id", "name"),
        CheckConstraint(
            "mode <> 'real_time' or endpoint is not null and secret is not null",
            name="real_time_complete",
        ),
    )

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    name: Mapped[str]
    active: Mapped[bool]
    email: Mapped[str | None]
    # list: its cards are those it pushes; real_time: it is asked at each tap.
    mode: Mapped[str] = mapped_column(default="list", server_default="list")
    endpoint: Mapped[str | None]
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed
    # If it cannot be asked: accept | refuse | list (what it pushed decides).
    fallback: Mapped[str] = mapped_column(default="list", server_default="list")
    # Of unknown tokens, those that begin so are asked about; uids.normal_uid.
    prefixes: Mapped[list[str]] = mapped_column(
        ARRAY(Text), default=list, server_default=text("'{}'")
    )


class PartnerList(Table):
    """A partner's cards in the making, sent in parts, applied in one go."""

    __tablename__ = "partner_list"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "partner_id"], ["partner.operator_id", "partner.id"]),
        UniqueConstraint("partner_id", "idempotency_key"),
        UniqueConstraint("number"),
        Index(None, "partner_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    operator_id: Mapped[UUID]
    partner_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(BigInteger, Identity())  # in the order of making
    idempotency_key: Mapped[str]
    mode: Mapped[str]  # full | delta
    total: Mapped[int | None]  # cards there will be, if it was said
    made_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class PartnerListPart(Table):
    __tablename__ = "partner_list_part"

    list_id: Mapped[UUID] = mapped_column(
        ForeignKey("partner_list.id", ondelete="cascade"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    operator_id: Mapped[UUID]
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    cards: Mapped[int]


class PartnerListCard(Table):
    """What a list says of a card. No key to the list: half a million rows would be looked up."""

    __tablename__ = "partner_list_card"

    list_id: Mapped[UUID] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    card_id: Mapped[UUID]  # if it becomes a new one
    kind: Mapped[str]
    label: Mapped[str]
    active: Mapped[bool]
    blocked_reason: Mapped[str | None]
    valid_from: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]
    group_id: Mapped[str | None]
