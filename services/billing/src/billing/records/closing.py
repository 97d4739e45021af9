"""An ended session becomes a business record: closed and priced, once, for good."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from billing import costs, rating, tables, terms, webhooks
from billing.discounts import quotas
from billing.incidents import Review, reviews_of
from billing.ledger.recording import book_records, is_billed
from billing.meter import ENERGY_WH_MAX
from billing.outside import of_row
from billing.terms import Terms
from common import outbox
from common.clock import now
from common.events import RecordClosed, RecordReviewed
from common.ids import uuid7
from common.money import plain

# Made once: to put a statement together costs more than to send it.
NEW: Final = insert(tables.Record).on_conflict_do_nothing().returning(tables.Record.id)

# What ends at midnight is told a moment later; no invoices for the month are made before that.
IN_TIME: Final = timedelta(hours=1)

# Copied as they are from the session: what is true of it when it is closed.
SNAPSHOT: Final = (
    "operator_id", "transaction_id", "station_id", "evse_id", "connector_id", "id_token",
    "card_id", "user_id", "holder", "token_status", "started_at", "ended_at", "meter_start_wh",
    "meter_stop_wh", "energy_wh", "stop_reason", "agreement_id", "terms",
)  # fmt: skip


async def close_records(
    db: AsyncSession, sessions: Iterable[tables.Session], tariff: tables.Tariff
) -> None:
    """Price ended sessions of one operator by their tariff; skip those that must wait.

    One that already has a record keeps it, and one that was found void gets none.
    """
    ready = [session for session in sessions if can_be_priced(session)]
    if not ready:
        return
    reviews = await reviews_of(db, [session.id for session in ready])
    details = await costs.details_of(db, ready, [tariff])
    ready = [session for session in ready if reviews[session.id] != "void"]
    agreed = {session.id: terms.from_json(session.terms) for session in ready}
    plainly = [session for session in ready if not agreed[session.id].modifiers]
    rows = [_row(one, tariff, details[one.id], agreed[one.id])[0] for one in plainly]
    ids = set((await db.scalars(NEW, rows)).all()) if rows else set()
    new = [row for row in rows if row["id"] in ids]
    # One by one: what one session takes of a quota is gone for the next.
    for session in ready:
        if agreed[session.id].modifiers:
            new += await close_one(db, session, tariff, details[session.id])
    await tell(db, tariff.operator_id, new, reviews)
    # Of a driver without an account, which most of a partner's are, nothing is to be read again.
    if billed := [row["id"] for row in new if is_billed(terms.from_json(row["terms"]))]:
        await book_records(db, billed)


async def close_one(
    db: AsyncSession,
    session: tables.Session,
    tariff: tables.Tariff,
    details: costs.Details,
    **otherwise: Any,
) -> list[dict[str, Any]]:
    """Its record with what is left of quotas; none if it has one. session: as it is, or as somebody
    corrected it. otherwise: columns of the record that are not a first one's.
    """
    agreed = terms.from_json(session.terms)
    held = await quotas.held(db, session, agreed.modifiers)
    agreed = quotas.with_left(agreed, held.modifiers)
    row, priced = _row(session, tariff, details, agreed)
    if held.sizes:
        # With what was left of quotas, so that it can be priced anew.
        row["terms"] = terms.to_json(agreed)
    row |= otherwise
    if await db.scalar(NEW, row) is None:
        return []
    effects = quotas.effects_of(priced)
    await quotas.draw(db, session, row["id"], tariff.currency, held, effects)
    return [row]


async def tell(
    db: AsyncSession,
    operator_id: UUID,
    rows: list[dict[str, Any]],
    reviews: Mapping[UUID, Review],
) -> None:
    """reviews: by session. Webhooks are told of what is final only; see tell_reviewed."""
    await outbox.emit(db, *(RecordClosed(**_told(row, reviews[row["session_id"]])) for row in rows))
    for row in rows:
        if reviews[row["session_id"]] != "pending":
            await webhooks.queue(db, operator_id, "record.closed", of_row(row))


async def tell_reviewed(db: AsyncSession, session_id: UUID, verdict: Review) -> None:
    """Of the record that was pending, if there is one; before what a decision makes of it.

    One that was told as final before it was doubted is told twice: who hears of it knows its id.
    """
    record = (await current_records(db, [session_id])).get(session_id)
    if record is None:
        return
    row = {column.key: getattr(record, column.key) for column in tables.Record.__table__.columns}
    await outbox.emit(db, RecordReviewed(**_told(row, verdict)))
    await webhooks.queue(db, record.operator_id, "record.closed", of_row(row))


async def current_records(
    db: AsyncSession, session_ids: Iterable[UUID]
) -> dict[UUID, tables.Record]:
    """Of each session the record that counts: what was cancelled does not."""
    record, later = tables.Record, aliased(tables.Record)
    cancelled = exists().where(later.refers_to == record.id, later.kind == "cancellation")
    query = select(record).where(
        record.session_id.in_(session_ids), record.kind != "cancellation", ~cancelled
    )
    return {row.session_id: row for row in await db.scalars(query)}


def can_be_priced(session: tables.Session) -> bool:
    """Whether energy and time are known and possible; what is not is never guessed or priced 0."""
    return (
        session.ended_at is not None
        and timedelta() <= session.ended_at - session.started_at <= rating.LENGTH_MAX
        and session.energy_wh is not None
        and 0 <= session.energy_wh <= ENERGY_WH_MAX
    )


def _row(
    session: tables.Session, tariff: tables.Tariff, details: costs.Details, agreed: Terms
) -> tuple[dict[str, Any], rating.Priced]:
    assert session.ended_at is not None
    assert session.energy_wh is not None
    told = costs.told(session, session.ended_at, session.energy_wh, details)
    priced = costs.price(session, tariff, told, agreed)
    row = {
        "id": uuid7(),
        "kind": "session",
        "refers_to": None,
        "session_id": session.id,
        **{name: getattr(session, name) for name in SNAPSHOT},
        "time_zone": details.time_zone,
        "tariff_id": tariff.id,
        "currency": tariff.currency,
        "late": is_late(session.ended_at, now(), details.time_zone),
        **amounts(priced),
    }
    return row, priced


def amounts(priced: rating.Priced) -> dict[str, Any]:
    """A record's columns of what it costs."""
    taxes = priced.total.taxes
    return {
        "tax_included": priced.tax_included,
        "vat_percent": taxes[0].vat_percent if len(taxes) == 1 else None,
        "taxes": [
            {name: None if value is None else plain(value) for name, value in asdict(one).items()}
            for one in taxes
        ],
        "lines": [line.model_dump(mode="json") for line in priced.lines],
        "total_net": priced.total.net,
        "vat": priced.total.vat,
        "total_gross": priced.total.gross,
    }


def is_late(ended_at: datetime, closed_at: datetime, time_zone: str) -> bool:
    """Whether a record comes when the month that it belongs to may have been invoiced."""
    zone = ZoneInfo(time_zone)
    ended, closed = ended_at.astimezone(zone), closed_at.astimezone(zone)
    other_month = (ended.year, ended.month) < (closed.year, closed.month)
    return other_month and closed_at - ended_at > IN_TIME


def _told(row: dict[str, Any], review: Review) -> dict[str, Any]:
    """Fields of an event about a record."""
    same = {name: row[name] for name in RecordClosed.model_fields.keys() & row.keys() - {"id"}}
    account_id = (row["terms"] or {}).get("account_id")
    return same | {"record_id": row["id"], "account_id": account_id, "review": review}
