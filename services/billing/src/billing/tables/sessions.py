"""Sessions, their readings, and the records that they become."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Computed,
    Identity,
    Index,
    and_,
    case,
    exists,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column

from billing.tables.declarative import HolderJson, Key, SetNow, Table, Wh


def _of_holder(name: str) -> Any:
    return mapped_column(Computed(f"(holder->>'{name}')::uuid", persisted=True))


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
