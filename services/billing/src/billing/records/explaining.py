"""Why a record costs what it costs, from the card at the start to what people decided after it."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables, terms
from billing.charging_states import states_of
from billing.discounts.granting import GrantOut
from billing.incidents import IncidentOut, Review, incidents_of
from billing.meter import of_register
from billing.readings import ReadingOut
from billing.records import deciding
from billing.records.deciding import DecisionOut
from billing.records.disputes import DisputeOut, disputes_of
from billing.records.listing import RecordOut, out_of
from billing.tariffs import TariffOut
from billing.terms import Terms
from common.auth import scoped
from common.database import Db
from common.problems import NotFound

router = APIRouter(prefix="/v1/records", tags=["records"])

READINGS_MAX: Final = 200  # a session of a day with one a minute has more; all are with the session


class StateOut(BaseModel):
    at: AwareDatetime = Field(description="from then on")
    state: str = Field(examples=["charging", "suspended_ev", "suspended_evse"])


class Explanation(BaseModel):
    record: RecordOut = Field(description="each of its lines says which rule made it")
    terms: Terms = Field(description="fixed when the session began: who pays, how, and why so")
    tariff: TariffOut = Field(description="the version that was fixed when the session began")
    grants: list[GrantOut] = Field(description="what discounts and events gave to the session")
    readings: list[ReadingOut] = Field(
        description=f"of the energy register, the first {READINGS_MAX}; "
        "all of them: /v1/sessions/{id}/readings"
    )
    readings_count: int = Field(description="of the energy register")
    charging_states: list[StateOut] = Field(description="what parking time is reckoned from")
    review: Review
    incidents: list[IncidentOut]
    decisions: list[DecisionOut] = Field(description="about the session, the oldest first")
    disputes: list[DisputeOut] = Field(description="about any record of the session")
    records: list[RecordOut] = Field(description="every record of the session, the oldest first")


@router.get(
    "/{record_id}/explanation",
    summary="Why a record costs what it costs",
    dependencies=[scoped("records:read")],
)
async def explain_record(record_id: UUID, db: Db) -> Explanation:
    record = await db.get(tables.Record, record_id)
    if record is None:
        raise NotFound("there is no such record")
    of = record.session_id
    readings, count = await _readings(db, of)
    states = (await states_of(db, [of]))[of]
    return Explanation(
        record=out_of(record),
        terms=terms.from_json(record.terms),
        tariff=TariffOut.model_validate(await db.get_one(tables.Tariff, record.tariff_id)),
        grants=await _grants(db, of),
        readings=[ReadingOut.model_validate(row) for row in readings],
        readings_count=count,
        charging_states=[StateOut(at=at, state=state) for at, state in states],
        review=out_of(record).review,
        incidents=(await incidents_of(db, [of]))[of],
        decisions=(await deciding.decisions_of(db, [of]))[of],
        disputes=await disputes_of(db, of),
        records=[out_of(row) for row in await _records(db, of)],
    )


async def _readings(db: AsyncSession, session_id: UUID) -> tuple[Sequence[tables.MeterSample], int]:
    sample = tables.MeterSample
    query = select(sample).where(sample.session_id == session_id, *of_register())
    first = query.order_by(sample.sampled_at, sample.id).limit(READINGS_MAX)
    found = (await db.scalars(first)).all()
    count = await db.scalar(select(func.count()).select_from(query.subquery()))
    return found, count or 0


async def _grants(db: AsyncSession, session_id: UUID) -> list[GrantOut]:
    grant = tables.DiscountGrant
    query = select(grant).where(grant.session_id == session_id).order_by(grant.id)
    return [GrantOut.model_validate(row) for row in await db.scalars(query)]


async def _records(db: AsyncSession, session_id: UUID) -> Sequence[tables.Record]:
    record = tables.Record
    query = select(record).where(record.session_id == session_id).order_by(record.id)
    return (await db.scalars(query)).all()
