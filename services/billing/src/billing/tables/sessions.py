"""Sessions, their readings, and the records that they become."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Computed,
    Identity,
    Index,
    Text,
    case,
    exists,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column

from billing.tables.declarative import HolderJson, Key, SetNow, Table, Wh
from billing.tables.reviews import Decision
from billing.tables.signed import Verification
from common import events


def _of_holder(name: str) -> Any:
    return mapped_column(Computed(f"(holder->>'{name}')::uuid", persisted=True))


def _of_terms(name: str) -> Any:
    return mapped_column(Computed(f"(terms->>'{name}')::uuid", persisted=True))


# billing.terms as they were when the session began; None: from before they were kept.
Terms = Annotated[dict[str, Any] | None, mapped_column(JSONB(none_as_null=True), nullable=True)]


class Incident(Table):
    """A reason to look at a session before it is invoiced; may come before the session.

    It is open until somebody decided about the session; decided_at says when.
    """

    __tablename__ = "incident"
    __table_args__ = (
        # The queue of reviews.
        Index(
            "ix_incident_open",
            "operator_id",
            "session_id",
            postgresql_where=text("decided_at is null"),
        ),
    )

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    detail: Mapped[str]
    opened_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]


def _review_of(session_id: Any) -> Any:
    """Pending while an incident is open, else the newest verdict; none: nobody ever doubted."""
    is_open = (Incident.session_id == session_id, Incident.decided_at.is_(None))
    open_ = exists().where(*is_open).correlate_except(Incident)
    verdict = (
        select(Decision.verdict)
        .where(Decision.session_id == session_id)
        .order_by(Decision.id.desc())
        .limit(1)
        .correlate_except(Decision)
        .scalar_subquery()
    )
    return column_property(case((open_, "pending"), else_=func.coalesce(verdict, "none")))


class Session(Table):
    """A car charging. tariff_id: locked when the session became known; None: none was valid."""

    __tablename__ = "session"
    __table_args__ = (
        Index(None, "operator_id", "id"),
        Index(None, "operator_id", "station_id", "started_at", "id"),
        # What costs more by the minute is looked for each minute.
        Index("ix_session_running", "id", postgresql_where=text("state = 'running'")),
        Index(None, "operator_id", "started_at", "id"),
        Index(None, "user_id", "id", postgresql_where=text("user_id is not null")),
        Index(None, "company_id", "id", postgresql_where=text("company_id is not null")),
        # For the first tariff, which closes the sessions that wait for one.
        Index(
            "ix_session_waiting",
            "operator_id",
            "started_at",
            postgresql_where=text("tariff_id is null"),
        ),
        # What is kept of a person.
        Index(None, "card_id", postgresql_where=text("card_id is not null")),
        Index(
            None, "partner_id", "started_at", "id", postgresql_where=text("partner_id is not null")
        ),
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
    cost_centre_id: Mapped[UUID | None] = _of_holder("cost_centre_id")
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
    terms: Mapped[Terms]
    account_id: Mapped[UUID | None] = _of_terms("account_id")
    strategy_id: Mapped[UUID | None] = _of_terms("strategy_id")

    review: Mapped[str] = _review_of(id)  # noqa: A003 - the column


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


class ChargingState(Table):
    """Whether a session's car took power from a moment on; may come before the session."""

    __tablename__ = "charging_state"

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    station_id: Mapped[str]
    evse_id: Mapped[int]
    received_at: Mapped[datetime]
    state: Mapped[events.ChargingState] = mapped_column(Text)


class Record(Table):
    """A closed, priced session with all that its price rests on; never changed."""

    __tablename__ = "record"
    __table_args__ = (
        Index(None, "operator_id", "id"),
        # Sorted by when they began or ended.
        Index(None, "operator_id", "started_at", "id"),
        Index(None, "operator_id", "ended_at", "id"),
        Index(None, "operator_id", "station_id", "id"),
        # Looked for by what stands on the card or in the charger's log.
        Index(None, "operator_id", "transaction_id"),
        Index("ix_record_token", "operator_id", text("upper(id_token)")),
        Index(
            "ix_record_user_groups", text("(holder -> 'user_group_ids')"), postgresql_using="gin"
        ),
        Index(None, "user_id", "id", postgresql_where=text("user_id is not null")),
        Index(None, "company_id", "id", postgresql_where=text("company_id is not null")),
        Index(None, "card_id", postgresql_where=text("card_id is not null")),
        Index(None, "partner_id", "id", postgresql_where=text("partner_id is not null")),
        Index(None, "account_id", "id", postgresql_where=text("account_id is not null")),
        # One record a session; what corrects it is further records that refer to it.
        Index(None, "session_id", unique=True, postgresql_where=text("refers_to is null")),
        # A record is cancelled once, and corrected once.
        Index(
            None, "refers_to", "kind", unique=True, postgresql_where=text("refers_to is not null")
        ),
    )

    id: Mapped[Key]
    operator_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(server_default="session")  # common.events.RecordKind
    refers_to: Mapped[UUID | None]  # the record that a cancellation or a correction is of
    session_id: Mapped[UUID] = mapped_column()
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
    cost_centre_id: Mapped[UUID | None] = _of_holder("cost_centre_id")
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
    vat_percent: Mapped[Decimal | None]  # None: several rates, or no VAT applies
    terms: Mapped[Terms]
    account_id: Mapped[UUID | None] = _of_terms("account_id")
    strategy_id: Mapped[UUID | None] = _of_terms("strategy_id")
    lines: Mapped[list[dict[str, str]]] = mapped_column(JSONB)  # decimals as strings
    # By rate: vat_percent, net, vat, gross; decimals as strings. None: one rate, from before.
    taxes: Mapped[list[dict[str, str | None]] | None] = mapped_column(JSONB(none_as_null=True))
    total_net: Mapped[Decimal]
    vat: Mapped[Decimal]
    total_gross: Mapped[Decimal]
    closed_at: Mapped[SetNow]
    # Closed in a later month than it ended in, when that one may have been invoiced.
    late: Mapped[bool] = mapped_column(server_default=text("false"))

    review: Mapped[str] = _review_of(session_id)
    # billing.signed.judging.Signature
    signature: Mapped[str] = column_property(
        func.coalesce(
            select(func.coalesce(Verification.verdict, "pending"))
            .where(Verification.session_id == session_id)
            .scalar_subquery(),
            "none",
        )
    )
