"""Previews: what the sessions of some time would have cost with a draft.

One waits for whoever has time: any replica takes it, reads the records in pages, prices each
session twice and says how far it is. What a replica left behind another takes after a minute, and
begins anew.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Query, Request
from pydantic import AwareDatetime, BaseModel, Field, model_validator
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.discounts import keeping
from billing.discounts.applying import Form
from common.auth import Principal
from common.clock import Moment, now
from common.database import Connections
from common.fields import Body
from common.ids import uuid7
from common.money import Currency, Exact
from common.problems import NotFound

RANGE_MAX: Final = timedelta(days=366)
LOOK_EVERY_S: Final = 0.2

WaitS = Annotated[float, Query(ge=0, le=30, description="answer when it is done, or after this")]


class PreviewIn(Body):
    ended_from: Moment | None = Field(
        default=None, description="of the sessions; default: all of last month, by the "
        "operator's clock"
    )  # fmt: skip
    ended_to: Moment | None = Field(default=None, description="exclusive")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.ended_from is None) != (self.ended_to is None):
            raise ValueError("say both ends, or none")
        if self.ended_from is not None and self.ended_to is not None:
            if self.ended_to <= self.ended_from:
                raise ValueError("it would end before it begins")
            if self.ended_to - self.ended_from > RANGE_MAX:
                raise ValueError(f"at most {RANGE_MAX.days} days")
        return self


class Sums(BaseModel):
    currency: Currency
    sessions: int
    sessions_concerned: int = Field(description="whose price it would have changed")
    net_before: Exact
    net_after: Exact
    gross_before: Exact
    gross_after: Exact


class StationSums(Sums):
    station_id: str


class UserChange(BaseModel):
    user_id: UUID
    currency: Currency
    gross_change: Exact


class SessionChange(BaseModel):
    session_id: UUID
    station_id: str
    user_id: UUID | None
    currency: Currency
    gross_before: Exact
    gross_after: Exact


class Result(BaseModel):
    totals: list[Sums] = Field(description="one for each currency")
    stations: list[StationSums] = Field(description="up to 100, the most affected first")
    users: list[UserChange] = Field(description="up to 20, the most affected first")
    most_affected: list[SessionChange] = Field(description="up to 20")
    moved_weeks: int = Field(
        description="by how many its dates were moved back, for they lie after the sessions"
    )
    not_priced: int = Field(description="records that cannot be priced again")


class PreviewOut(BaseModel):
    state: Literal["waiting", "working", "done", "failed"]
    of_version: int = Field(description="of the draft, when it was asked for")
    ended_from: AwareDatetime
    ended_to: AwareDatetime
    asked_at: AwareDatetime
    finished_at: AwareDatetime | None
    sessions_done: int
    sessions_total: int | None = Field(description="null: not counted yet")
    failure: str | None
    result: Result | None


async def ask(
    request: Request, caller: Principal, form: Form, offer_id: UUID, body: PreviewIn, wait_s: float
) -> PreviewOut:
    """Ask anew; the one before is forgotten."""
    keeping.of_every_location(caller)
    connections: Connections = request.app.state.connections
    # Not the Db dependency: it waits, and who works on it must see that it is there.
    async with connections.acting(caller) as db:
        offer = await keeping.get(db, form, offer_id)
        begin, end = body.ended_from, body.ended_to
        if begin is None or end is None:
            begin, end = last_month(now(), await keeping.zone_of(db, offer.operator_id))
        values: dict[str, Any] = {
            "operator_id": offer.operator_id, "id": uuid7(), "of_version": offer.version,
            "ended_from": begin, "ended_to": end, "asked_by": caller.sub, "asked_at": now(),
            "beat_at": None, "sessions_total": None, "sessions_done": 0, "finished_at": None,
            "failure": None, "result": None,
        }  # fmt: skip
        new = insert(tables.DiscountPreview).values(discount_id=offer_id, **values)
        await db.execute(new.on_conflict_do_update(index_elements=["discount_id"], set_=values))
        row = await _get(db, offer_id)
    for _ in range(int(wait_s / LOOK_EVERY_S)):
        if row.finished_at is not None:
            break
        await asyncio.sleep(LOOK_EVERY_S)
        async with connections.acting(caller) as db:
            row = await _get(db, offer_id)
    return out(row)


async def read(db: AsyncSession, caller: Principal, form: Form, offer_id: UUID) -> PreviewOut:
    keeping.of_every_location(caller)
    await keeping.get(db, form, offer_id)
    return out(await _get(db, offer_id))


async def _get(db: AsyncSession, offer_id: UUID) -> tables.DiscountPreview:
    row = await db.get(tables.DiscountPreview, offer_id)
    if row is None:
        raise NotFound("nobody asked for a preview of it, or more than 30 days ago")
    return row


def out(row: tables.DiscountPreview) -> PreviewOut:
    fields = {name: getattr(row, name) for name in PreviewOut.model_fields if name != "state"}
    if row.finished_at is None:
        state = "working" if row.beat_at else "waiting"
    else:
        state = "failed" if row.failure else "done"
    return PreviewOut.model_validate(fields | {"state": state})


def last_month(at: datetime, time_zone: str) -> tuple[datetime, datetime]:
    """All of the local month before a moment."""
    zone = ZoneInfo(time_zone)
    local = at.astimezone(zone)
    end = datetime(local.year, local.month, 1, tzinfo=zone)
    before = end - timedelta(days=1)
    return datetime(before.year, before.month, 1, tzinfo=zone), end
