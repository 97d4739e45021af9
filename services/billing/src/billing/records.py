"""Business records: a session closed and priced, once, for good."""

from collections.abc import Iterable
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import rating, tables, webhooks
from billing.filters import OfStation
from billing.incidents import Review
from billing.operators import DEFAULT_TIME_ZONE
from billing.outside import of_row
from common import outbox, paging
from common.auth import Caller, scoped
from common.authorize import Holder
from common.clock import Moment
from common.database import Db
from common.events import RecordClosed, RecordLine
from common.ids import uuid7
from common.money import Currency, Exact, Money
from common.paging import Cursor, Limit, Page
from common.problems import NotFound

router = APIRouter(prefix="/v1/records", tags=["records"])

# Made once: to put a statement together costs more than to send it.
TIME_ZONE: Final = select(tables.Operator.time_zone).where(
    tables.Operator.operator_id == bindparam("operator_id")
)
NEW: Final = insert(tables.Record).on_conflict_do_nothing().returning(tables.Record.id)

# Copied as they are from the session: what is true of it when it is closed.
SNAPSHOT: Final = (
    "operator_id", "transaction_id", "station_id", "evse_id", "connector_id", "id_token",
    "card_id", "user_id", "holder", "token_status", "started_at", "ended_at", "meter_start_wh",
    "meter_stop_wh", "energy_wh", "stop_reason", "agreement_id",
)  # fmt: skip


class RecordOut(BaseModel):
    id: UUID
    operator_id: UUID
    session_id: UUID
    transaction_id: str
    station_id: str
    evse_id: int
    connector_id: int
    id_token: str
    card_id: UUID | None
    user_id: UUID | None
    holder: Holder | None
    token_status: str
    started_at: AwareDatetime
    ended_at: AwareDatetime
    time_zone: str
    meter_start_wh: int | None
    meter_stop_wh: int | None
    energy_wh: int
    stop_reason: str | None
    tariff_id: UUID
    agreement_id: UUID | None
    currency: Currency
    tax_included: bool
    vat_percent: Exact
    lines: list[RecordLine]
    total_net: Money
    vat: Money
    total_gross: Money
    closed_at: AwareDatetime
    review: Review

    model_config = ConfigDict(from_attributes=True)


def _out(record: tables.Record) -> RecordOut:
    fields = {name: getattr(record, name) for name in RecordOut.model_fields}
    for name in ("total_net", "vat", "total_gross"):
        fields[name] = Money(amount=fields[name], currency=record.currency)
    return RecordOut.model_validate(fields)


@router.get("", summary="List business records", dependencies=[scoped("records:read")])
async def list_records(
    db: Db,
    caller: Caller,
    station_id: OfStation = None,
    user_id: UUID | None = None,
    card_id: UUID | None = None,
    partner_id: UUID | None = None,
    company_id: UUID | None = None,
    session_id: UUID | None = None,
    ended_from: Annotated[Moment | None, Query(description="inclusive")] = None,
    ended_to: Annotated[Moment | None, Query(description="exclusive")] = None,
    review: Review | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[RecordOut]:
    """Newest first, in the order in which they were closed."""
    record = tables.Record
    equal = (
        # Row-level security does the same; stated here so that the index is used.
        (record.operator_id, caller.operator_id),
        (record.station_id, station_id),
        (record.user_id, user_id),
        (record.card_id, card_id),
        (record.partner_id, partner_id),
        (record.company_id, company_id),
        (record.session_id, session_id),
        (record.review, review),
    )
    query = select(record).where(*(column == value for column, value in equal if value is not None))
    if ended_from is not None:
        query = query.where(record.ended_at >= ended_from)
    if ended_to is not None:
        query = query.where(record.ended_at < ended_to)
    found, after = await paging.rows(
        db, query, record.id, limit=limit, cursor=cursor, newest_first=True
    )
    return Page[RecordOut](items=[_out(row) for row in found], next_cursor=after)


@router.get("/{record_id}", summary="One business record", dependencies=[scoped("records:read")])
async def get_record(record_id: UUID, db: Db) -> RecordOut:
    record = await db.get(tables.Record, record_id)
    if record is None:
        raise NotFound("there is no such record")
    return _out(record)


def prices_of(tariff: tables.Tariff) -> rating.Prices:
    return rating.Prices(
        name=tariff.name,
        currency=tariff.currency,
        tax_included=tariff.tax_included,
        vat_percent=tariff.vat_percent,
        energy_price=tariff.energy_price,
        time_price=tariff.time_price,
        start_fee=tariff.start_fee,
    )


async def close_records(
    db: AsyncSession, sessions: Iterable[tables.Session], tariff: tables.Tariff
) -> None:
    """Price ended sessions of one operator by their tariff; skip those that must wait.

    One that already has a record keeps it. RecordClosed is told only of new ones.
    """
    ready = [session for session in sessions if _can_be_priced(session)]
    if not ready:
        return
    time_zone = await db.scalar(TIME_ZONE, {"operator_id": tariff.operator_id})
    rows = [_row(session, tariff, time_zone or DEFAULT_TIME_ZONE) for session in ready]
    ids = set((await db.scalars(NEW, rows)).all())
    new = [row for row in rows if row["id"] in ids]
    await outbox.emit(db, *(_closed(row) for row in new))
    for row in new:
        await webhooks.queue(db, tariff.operator_id, "record.closed", of_row(row))


def _can_be_priced(session: tables.Session) -> bool:
    """Whether energy and time are known and possible; what is not is never guessed or priced 0."""
    return (
        session.ended_at is not None
        and session.ended_at >= session.started_at
        and session.energy_wh is not None
        and session.energy_wh >= 0
    )


def _row(session: tables.Session, tariff: tables.Tariff, time_zone: str) -> dict[str, Any]:
    assert session.ended_at is not None
    assert session.energy_wh is not None
    facts = rating.Facts(
        energy_wh=session.energy_wh,
        duration_s=rating.duration_s(session.started_at, session.ended_at),
        token_accepted=session.token_status == rating.ACCEPTED,
    )
    priced = rating.rate(facts, prices_of(tariff))
    return {
        "id": uuid7(),
        "session_id": session.id,
        **{name: getattr(session, name) for name in SNAPSHOT},
        "time_zone": time_zone,
        "tariff_id": tariff.id,
        "currency": tariff.currency,
        "tax_included": tariff.tax_included,
        "vat_percent": tariff.vat_percent,
        "lines": [line.model_dump(mode="json") for line in priced.lines],
        "total_net": priced.total.net,
        "vat": priced.total.vat,
        "total_gross": priced.total.gross,
    }


def _closed(row: dict[str, Any]) -> RecordClosed:
    return RecordClosed(
        record_id=row["id"],
        **{name: row[name] for name in RecordClosed.model_fields if name in row and name != "id"},
    )
