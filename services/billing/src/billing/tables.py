"""Everything billing stores. Energy in Wh; amounts as exact decimals; moments in UTC.

Tariffs and records are append-only: the service's role may not change or delete them. What may
become known before a session is (incidents, meter readings) has tables of its own, without foreign
keys, so that events may come in any order.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    Numeric,
    Text,
    UniqueConstraint,
    and_,
    case,
    exists,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column

from common.database import new_metadata
from common.ids import uuid7
from common.privacy import TombstoneColumns

Wh = Annotated[int, mapped_column(BigInteger)]
Key = Annotated[UUID, mapped_column(primary_key=True, default=uuid7)]
# common.authorize.Holder as it was when the session began, and what is searched for in it.
HolderJson = Annotated[
    dict[str, Any] | None, mapped_column(JSONB(none_as_null=True), nullable=True)
]


def _of_holder(name: str) -> Any:
    return mapped_column(Computed(f"(holder->>'{name}')::uuid", persisted=True))


SetNow = Annotated[datetime, mapped_column(server_default=func.now())]


class Table(DeclarativeBase):
    metadata = new_metadata()
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        # Without a scale: Postgres then keeps an amount as it was written, 0.49 or 12.30.
        Decimal: Numeric(),
        str: Text(),
    }


class Operator(Table):
    """What billing needs of identity's operators."""

    __tablename__ = "operator"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    time_zone: Mapped[str]
    personal_data_days: Mapped[int | None]


class Station(Table):
    """Where registry's stations stand: some staff may see the sessions of some locations only."""

    __tablename__ = "station"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    location_id: Mapped[UUID | None]


class Partner(Table):
    """What billing needs of identity's partners."""

    __tablename__ = "partner"

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    name: Mapped[str]
    active: Mapped[bool]


class Tariff(Table):
    """One immutable version; valid from its moment until the operator's next one's.

    One that is agreed only stands outside that row: it is valid where an agreement names it.
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
            postgresql_where=text("not agreed_only"),
        ),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    name: Mapped[str]
    currency: Mapped[str]
    tax_included: Mapped[bool]
    vat_percent: Mapped[Decimal]
    energy_price: Mapped[Decimal]  # per kWh
    time_price: Mapped[Decimal]  # per minute
    start_fee: Mapped[Decimal]
    valid_from: Mapped[datetime]
    agreed_only: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    created_at: Mapped[SetNow]


class Agreement(Table):
    """Where a partner's cards may charge, and at which price."""

    __tablename__ = "agreement"
    __table_args__ = (
        UniqueConstraint("operator_id", "name"),
        ForeignKeyConstraint(["operator_id", "tariff_id"], ["tariff.operator_id", "tariff.id"]),
        CheckConstraint("valid_from <= valid_until", name="valid_from_before_until"),
        Index(None, "operator_id", "partner_id"),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(default=1)
    partner_id: Mapped[UUID]
    name: Mapped[str]
    places: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]  # the last day
    tariff_id: Mapped[UUID | None]  # None: the operator's own price


class Incident(Table):
    """A reason to look at a session before it is invoiced; may come before the session."""

    __tablename__ = "incident"

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    detail: Mapped[str]
    opened_at: Mapped[datetime]


class Session(Table):
    """A car charging. tariff_id: locked when the session became known; None: none was valid."""

    __tablename__ = "session"
    __table_args__ = (
        Index(None, "operator_id", "id"),
        Index(None, "operator_id", "station_id", "id"),
        # For the first tariff, which closes the sessions that wait for one.
        Index(
            "ix_session_waiting",
            "operator_id",
            "started_at",
            postgresql_where=text("tariff_id is null"),
        ),
        # What is kept of a person.
        Index(None, "card_id", postgresql_where=text("card_id is not null")),
        Index(None, "partner_id", "id", postgresql_where=text("partner_id is not null")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    state: Mapped[str] = mapped_column()  # running, ended
    transaction_id: Mapped[str]
    station_id: Mapped[str]
    evse_id: Mapped[int]
    connector_id: Mapped[int]
    id_token: Mapped[str]
    card_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    holder: Mapped[HolderJson]
    partner_id: Mapped[UUID | None] = _of_holder("partner_id")
    company_id: Mapped[UUID | None] = _of_holder("company_id")
    token_status: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    meter_start_wh: Mapped[Wh | None]
    meter_stop_wh: Mapped[Wh | None]
    # Known at the end; None then: it waits for a correction.
    energy_wh: Mapped[Wh | None] = mapped_column()
    stop_reason: Mapped[str | None]
    tariff_id: Mapped[UUID | None]
    agreement_id: Mapped[UUID | None]

    review: Mapped[str] = column_property(
        case(
            (exists().where(Incident.session_id == id), "pending"),  # noqa: A003 - the column
            (and_(state == "ended", energy_wh.is_(None)), "pending"),
            else_="none",
        )
    )


class Register(Table):
    """The newest reading of a session's energy register, Wh."""

    __tablename__ = "register"

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    sampled_at: Mapped[datetime]
    value_wh: Mapped[Decimal]


SAMPLE_KEY = ("sampled_at", "measurand", "phase", "location", "context")


class MeterSample(Table):
    """One reading as the charger sent it."""

    __tablename__ = "meter_sample"
    # Two partial indexes: a plain one takes two nulls for different, and NULLS NOT DISTINCT
    # needs PostgreSQL 15.
    __table_args__ = (
        Index(
            "uq_meter_sample_of_session",
            "session_id",
            *SAMPLE_KEY,
            unique=True,
            postgresql_where=text("session_id is not null"),
        ),
        Index(
            "uq_meter_sample_of_station",
            "station_id",
            "evse_id",
            *SAMPLE_KEY,
            unique=True,
            postgresql_where=text("session_id is null"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    operator_id: Mapped[UUID]
    session_id: Mapped[UUID | None]
    station_id: Mapped[str]
    evse_id: Mapped[int]
    sampled_at: Mapped[datetime]
    received_at: Mapped[datetime]
    measurand: Mapped[str]
    phase: Mapped[str]
    location: Mapped[str]
    context: Mapped[str]
    value: Mapped[Decimal]
    unit: Mapped[str]


class Record(Table):
    """A closed, priced session with all that its price rests on; never changed."""

    __tablename__ = "record"
    __table_args__ = (
        Index(None, "operator_id", "id"),
        Index(None, "operator_id", "ended_at"),
        Index(None, "operator_id", "station_id", "id"),
        Index(None, "card_id", postgresql_where=text("card_id is not null")),
        Index(None, "partner_id", "id", postgresql_where=text("partner_id is not null")),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    session_id: Mapped[UUID] = mapped_column(unique=True)
    transaction_id: Mapped[str]
    station_id: Mapped[str]
    evse_id: Mapped[int]
    connector_id: Mapped[int]
    id_token: Mapped[str]
    card_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    holder: Mapped[HolderJson]
    partner_id: Mapped[UUID | None] = _of_holder("partner_id")
    company_id: Mapped[UUID | None] = _of_holder("company_id")
    token_status: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    time_zone: Mapped[str]
    meter_start_wh: Mapped[Wh | None]
    meter_stop_wh: Mapped[Wh | None]
    energy_wh: Mapped[Wh]
    stop_reason: Mapped[str | None]
    tariff_id: Mapped[UUID]
    agreement_id: Mapped[UUID | None]
    currency: Mapped[str]
    tax_included: Mapped[bool]
    vat_percent: Mapped[Decimal]
    lines: Mapped[list[dict[str, str]]] = mapped_column(JSONB)  # decimals as strings
    total_net: Mapped[Decimal]
    vat: Mapped[Decimal]
    total_gross: Mapped[Decimal]
    closed_at: Mapped[SetNow]

    review: Mapped[str] = column_property(
        case((exists().where(Incident.session_id == session_id), "pending"), else_="none")
    )


class Webhook(Table):
    """An address that is told of sessions and records."""

    __tablename__ = "webhook"
    __table_args__ = (
        Index(
            "uq_webhook_address",
            "operator_id",
            text("coalesce(partner_id, '00000000-0000-0000-0000-000000000000'::uuid)"),
            "url",
            unique=True,
        ),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(default=1)
    partner_id: Mapped[UUID | None]  # None: of all sessions
    url: Mapped[str]
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    secret: Mapped[bytes] = mapped_column(LargeBinary)  # sealed
    active: Mapped[bool]
    failures: Mapped[int] = mapped_column(default=0, server_default="0")  # in a row
    paused_until: Mapped[datetime | None]


class WebhookDelivery(Table):
    """An outbox: the row commits with what it tells of, and is sent afterwards."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index(
            "ix_webhook_delivery_waiting",
            "webhook_id",
            "id",
            postgresql_where=text("delivered_at is null and given_up_at is null"),
        ),
        Index(None, "webhook_id", "id"),
        Index(None, "made_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)  # of what is told, to whomever
    webhook_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook.id", ondelete="cascade"), primary_key=True
    )
    operator_id: Mapped[UUID]
    kind: Mapped[str]
    body: Mapped[str]  # the very bytes that are signed
    made_at: Mapped[datetime]
    wanted_at: Mapped[datetime]  # tried for three days from then on
    tries: Mapped[int]
    next_try_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]


class Tombstone(TombstoneColumns, Table):
    """Whose sessions and records are under a pseudonym."""
