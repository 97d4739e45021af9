"""Sessions: what the gateway told of each, running ones with their cost so far.

A session is known from its start, its end, or both in any order. The end carries all of it: it
overrides the start, and the first end stays.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import and_, case, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import cost_clock, costs, memberships, meter, rating, session_prices, tables, webhooks
from billing.discounts import quotas
from billing.filters import SessionFilters, State, of_sessions
from billing.incidents import IncidentOut, Review, incidents_of, open_incidents
from billing.meter import ENERGY_WH_MAX
from billing.outside import SessionOutside
from billing.pricing.resolution import Asked, resolve
from billing.records.closing import close_records, current_records
from billing.signed import keeping as signed
from billing.terms import Terms
from common import paging
from common.auth import Caller, scoped
from common.authorize import Holder
from common.database import Db
from common.events import Incident, SessionEnded, SessionStarted, SessionState
from common.money import Money
from common.paging import Cursor, Limit, Page
from common.problems import NotFound

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])

TOLD_AT_START: Final = (
    "transaction_id", "station_id", "evse_id", "connector_id", "id_token", "card_id", "user_id",
    "holder", "token_status", "started_at", "meter_start_wh",
)  # fmt: skip
TOLD_AT_END: Final = ("ended_at", "meter_stop_wh", "energy_wh", "stop_reason")

# Incidents of a session's end that say why its energy is not known.
UNKNOWN_BY: Final = {
    "register_backwards", "implausible_energy", "meter_reading_missing", "stop_without_start",
}  # fmt: skip

# Locked at the start, unless it was the price of somebody who was refused.
PRICE: Final = ("tariff_id", "agreement_id", "terms")
OF_DRIVER: Final = ("id_token", "card_id", "user_id", "holder", "token_status")

# Made once: to put a statement together costs more than to send it.
_BEGIN: Final = insert(tables.Session)
BEGIN: Final = _BEGIN.on_conflict_do_update(
    index_elements=["id"],
    set_={name: _BEGIN.excluded[name] for name in (*OF_DRIVER, *PRICE)},
    where=and_(
        tables.Session.state == "running",
        tables.Session.token_status != rating.ACCEPTED,
        _BEGIN.excluded.token_status == rating.ACCEPTED,
    ),
).returning(tables.Session)
_END: Final = insert(tables.Session)
PRICED: Final = and_(
    tables.Session.tariff_id.is_not(None),
    or_(
        tables.Session.token_status == rating.ACCEPTED,
        _END.excluded.token_status != rating.ACCEPTED,
    ),
)
END: Final = _END.on_conflict_do_update(
    index_elements=["id"],
    set_={name: _END.excluded[name] for name in ("state", *TOLD_AT_START, *TOLD_AT_END)}
    # An end that comes later does not choose another price.
    | {
        name: case((PRICED, getattr(tables.Session, name)), else_=_END.excluded[name])
        for name in PRICE
    },
    where=tables.Session.state == "running",
).returning(tables.Session)


class SessionOut(BaseModel):
    id: UUID
    operator_id: UUID
    state: State
    transaction_id: str
    station_id: str
    evse_id: int
    connector_id: int
    id_token: str
    card_id: UUID | None
    user_id: UUID | None
    holder: Holder | None = Field(description="whose card it was when the session began")
    token_status: str
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    meter_start_wh: int | None
    meter_stop_wh: int | None
    meter_start_assumed_wh: int | None = Field(
        description="while it runs: the first register that is known, where its start was told "
        "without; energy_wh and cost so far rest on it. The end says what counts, and is reviewed"
    )
    energy_wh: int | None = Field(description="so far, while it runs; null: not known")
    metered_at: AwareDatetime | None = Field(description="the charger's time of its last register")
    cost: Money | None = Field(
        description="gross; as the station shows it, while it runs; null: not known"
    )
    tariff_id: UUID | None
    agreement_id: UUID | None = Field(description="whose price it is; null: the operator's own")
    account_id: UUID | None = Field(description="who pays; null: nobody is billed here")
    strategy_id: UUID | None = Field(description="the accounting strategy that prices it")
    record_id: UUID | None = Field(description="the record that counts; null: none does")
    stop_reason: str | None
    incidents: list[IncidentOut]
    review: Review


class SessionsAsked(SessionFilters):
    limit: Limit = paging.LIMIT_DEFAULT
    cursor: Cursor = None


@router.get("", summary="List sessions", dependencies=[scoped("sessions:read")])
async def list_sessions(
    db: Db, caller: Caller, wanted: Annotated[SessionsAsked, Query()]
) -> Page[SessionOut]:
    """Newest first, by their start."""
    session = tables.Session
    query = select(session).where(*of_sessions(wanted, caller))
    found, after = await paging.sorted_rows(
        db, query, session.started_at, session.id, limit=wanted.limit, cursor=wanted.cursor
    )
    return Page[SessionOut](items=await _outs(db, found), next_cursor=after)


@router.get("/{session_id}", summary="One session", dependencies=[scoped("sessions:read")])
async def get_session(session_id: UUID, db: Db) -> SessionOut:
    session = await db.get(tables.Session, session_id)
    if session is None:
        raise NotFound("there is no such session")
    return (await _outs(db, [session]))[0]


async def _outs(db: AsyncSession, sessions: Sequence[tables.Session]) -> list[SessionOut]:
    """One query a kind of detail, not one a session."""
    ids = [session.id for session in sessions]
    registers = await _by_key(db, tables.Register, tables.Register.session_id, ids)
    assumed = await _assumed_starts(db, sessions)
    closed = await current_records(db, ids)
    wanted = {session.tariff_id for session in sessions if session.tariff_id}
    priced_by = await _by_key(db, tables.Tariff, tables.Tariff.id, list(wanted))
    running = [one for one in sessions if one.state == "running"]
    details = await costs.details_of(db, running, priced_by.values())
    incidents = await incidents_of(db, ids)
    counted_to = await cost_clock.all_counted_to(db, running, registers)
    agreed = {one.id: await quotas.as_left(db, one) for one in running}
    return [
        _out(
            session,
            registers.get(session.id),
            assumed.get(session.id),
            closed.get(session.id),
            priced_by.get(session.tariff_id),
            incidents[session.id],
            counted_to.get(session.id),
            details.get(session.id),
            agreed.get(session.id),
        )
        for session in sessions
    ]


async def _assumed_starts(
    db: AsyncSession, sessions: Sequence[tables.Session]
) -> dict[UUID, Decimal | None]:
    ids = [one.id for one in sessions if one.state == "running" and one.meter_start_wh is None]
    if not ids:
        return {}
    query = select(tables.Session.id, meter.assumed_start_wh()).where(tables.Session.id.in_(ids))
    return {row[0]: row[1] for row in await db.execute(query)}


async def _by_key(db: AsyncSession, table: Any, column: Any, keys: list[UUID]) -> dict[Any, Any]:
    found = await db.scalars(select(table).where(column.in_(keys)))
    return {getattr(row, column.key): row for row in found}


def _out(
    session: tables.Session,
    register: tables.Register | None,
    assumed_wh: Decimal | None,
    record: tables.Record | None,
    tariff: tables.Tariff | None,
    incidents: list[IncidentOut],
    counted_to: datetime | None,
    details: costs.Details | None,
    agreed: Terms | None,
) -> SessionOut:
    running = session.state == "running"
    energy_wh = energy_so_far_wh(session, register, assumed_wh) if running else session.energy_wh
    cost = None
    if record is not None:
        cost = Money(amount=record.total_gross, currency=record.currency)
    elif tariff and energy_wh is not None and details is not None and counted_to is not None:
        gross = cost_so_far(session, tariff, energy_wh, counted_to, details, agreed)
        cost = None if gross is None else Money(amount=gross, currency=tariff.currency)
    fields = {
        name: getattr(session, name)
        for name in SessionOut.model_fields
        if hasattr(tables.Session, name)
    }
    return SessionOut(
        **fields
        | {
            "meter_start_assumed_wh": None if assumed_wh is None else whole(assumed_wh),
            "energy_wh": energy_wh,
            "metered_at": register.sampled_at if register else None,
            "cost": cost,
            "record_id": record.id if record else None,
            "incidents": incidents,
        }
    )


def energy_so_far_wh(
    session: tables.Session, register: tables.Register | None, assumed_wh: Decimal | None
) -> int | None:
    """None: the start was not metered, and nothing since; or it is more than any car takes. A
    register that went back (it may reset) counts as 0.

    assumed_wh: meter.assumed_start_wh.
    """
    start_wh = session.meter_start_wh
    if start_wh is None and assumed_wh is not None:
        start_wh = whole(assumed_wh)
    if start_wh is None:
        return None
    energy_wh = 0 if register is None else max(whole(register.value_wh) - start_wh, 0)
    return energy_wh if energy_wh <= ENERGY_WH_MAX else None


def whole(wh: Decimal) -> int:
    return int(wh.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def cost_so_far(
    session: tables.Session,
    tariff: tables.Tariff,
    energy_wh: int,
    until: datetime,
    details: costs.Details,
    agreed: Terms | None = None,
) -> Decimal | None:
    """Gross. None: it has lasted too long to be true. agreed: other terms than its own."""
    if until - session.started_at > rating.LENGTH_MAX:
        return None
    told = costs.told(session, max(until, session.started_at), energy_wh, details)
    return costs.price(session, tariff, told, agreed).total.gross


async def begin_session(db: AsyncSession, event: SessionStarted) -> tables.Session | None:
    """Known already (None): nothing changes but the incidents, and the driver of one that runs if
    who was told before was refused.
    """
    event = await memberships.as_it_was(db, event)
    assert event.operator_id is not None
    price = await resolve(db, asked_of(event))
    row = _row(event, TOLD_AT_START) | {"state": "running", **price.columns}
    session = await db.scalar(BEGIN, row, execution_options={"populate_existing": True})
    if session is not None:
        await quotas.reserve(db, session)
        told = SessionOutside.model_validate(session)
        await webhooks.queue(db, event.operator_id, "session.started", told)
        if price.tariff is not None:
            await session_prices.tell(db, [session], price.tariff)
    await _open_all(db, event, price.tariff)
    return session


async def end_session(db: AsyncSession, event: SessionEnded) -> None:
    """End a session, known or not, and close its record if it can be priced."""
    assert event.operator_id is not None
    known = await db.get(tables.Session, event.session_id)
    if known is not None and _locked(known, event):
        locked = {name: getattr(known, name) for name in PRICE}
    else:
        event = await memberships.as_it_was(db, event)
        locked = (await resolve(db, asked_of(event))).columns
    assert event.operator_id is not None
    row = _row(event, TOLD_AT_START + TOLD_AT_END) | {"state": "ended", **locked}
    session = await db.scalar(END, row, execution_options={"populate_existing": True})
    tariff_id = session.tariff_id if session is not None else locked["tariff_id"]
    tariff = await db.get_one(tables.Tariff, tariff_id) if tariff_id else None
    await _open_all(db, event, tariff)
    if session is not None:
        if doubt := await meter.backwards(db, session):
            await open_incidents(db, session.operator_id, session.id, [doubt], event.occurred_at)
        await signed.check(db, session)
        await quotas.reserve(db, session)
        told = SessionOutside.model_validate(session)
        await webhooks.queue(db, event.operator_id, "session.ended", told)
    if session is not None and tariff is not None:
        await close_records(db, [session], tariff)


def _locked(known: tables.Session, event: SessionEnded) -> bool:
    """Whether it has its price for good, as PRICED says."""
    refused = known.token_status != rating.ACCEPTED
    return known.tariff_id is not None and not (refused and event.token_status == rating.ACCEPTED)


def asked_of(event: SessionState) -> Asked:
    assert event.operator_id is not None
    return Asked(
        operator_id=event.operator_id,
        station_id=event.station_id,
        at=event.started_at,
        evse_id=event.evse_id,
        card_id=event.card_id,
        user_id=event.user_id,
        holder=event.holder,
    )


def _row(event: SessionStarted | SessionEnded, told: tuple[str, ...]) -> dict[str, Any]:
    facts = {name: getattr(event, name) for name in told}
    facts["holder"] = event.holder.model_dump(mode="json") if event.holder else None
    return {"id": event.session_id, "operator_id": event.operator_id, **facts}


async def _open_all(
    db: AsyncSession, event: SessionStarted | SessionEnded, tariff: tables.Tariff | None
) -> None:
    found = [*event.incidents, *_doubts(event, tariff)]
    await open_incidents(db, event.operator_id, event.session_id, found, event.occurred_at)


def _doubts(
    event: SessionStarted | SessionEnded, tariff: tables.Tariff | None
) -> Iterator[Incident]:
    """Why a session cannot be priced although the gateway let it pass."""
    if tariff is None:
        yield Incident(kind="no_tariff", detail=f"no tariff was valid at {event.started_at}")
    if isinstance(event, SessionEnded):
        if event.ended_at < event.started_at:
            yield Incident(kind="clock", detail="the end lies before the start")
        if event.ended_at - event.started_at > rating.LENGTH_MAX:
            yield Incident(kind="clock", detail="it would have lasted for more than a year")
        if event.energy_wh is not None and event.energy_wh < 0:
            yield Incident(kind="register_backwards", detail=f"{event.energy_wh} Wh")
        if event.energy_wh is not None and event.energy_wh > ENERGY_WH_MAX:
            yield Incident(kind="implausible_energy", detail=f"{event.energy_wh} Wh")
        if event.energy_wh is None and UNKNOWN_BY.isdisjoint(one.kind for one in event.incidents):
            yield Incident(kind="energy_unknown", detail="the charger did not tell how much it was")
