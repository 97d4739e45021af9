"""Tariffs: one an operator at a time, in immutable versions without hole or overlap."""

import re
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from sqlalchemy import Select, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import records, tables
from common import outbox, paging
from common.auth import Caller, scoped
from common.clock import Moment, now
from common.database import Db
from common.events import TariffChanged, TariffPrices
from common.money import Currency, Exact
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem

router = APIRouter(prefix="/v1/tariffs", tags=["tariffs"])

PRICE: Final = "^[0-9]{1,6}([.][0-9]{1,4})?$"
PERCENT: Final = "^[0-9]{1,3}([.][0-9]{1,2})?$"

VALID: Final = (
    select(tables.Tariff)
    .where(
        tables.Tariff.operator_id == bindparam("operator_id"),
        tables.Tariff.valid_from <= bindparam("at"),
        tables.Tariff.agreed_only.is_(False),
    )
    .order_by(tables.Tariff.valid_from.desc())
    .limit(1)
)


class TariffOverlap(Problem):
    status = 409
    title = "Tariffs would overlap"


class TariffInThePast(Problem):
    status = 422
    title = "Tariff starts in the past"


def _digits(pattern: str) -> BeforeValidator:
    """Only a string of plain digits: a JSON number is a float in most writers."""

    def check(value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"write it as a string of digits that matches {pattern}")
        return value

    return BeforeValidator(check)


def _schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Price = Annotated[Exact, _digits(PRICE), _schema(PRICE, "0.49")]
Percent = Annotated[Exact, _digits(PERCENT), Field(le=100), _schema(PERCENT, "19")]


class TariffIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00]+$")
    currency: Currency
    tax_included: bool = Field(default=True, description="true: the prices are gross")
    vat_percent: Percent
    energy_price: Price = Field(description="per kWh")
    time_price: Price = Field(default="0", description="per minute", validate_default=True)
    start_fee: Price = Field(default="0", description="once a session", validate_default=True)
    valid_from: Moment | None = Field(default=None, description="default: now")
    agreed_only: bool = Field(
        default=False, description="a price for agreements; the operator's own goes on"
    )


class TariffOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    name: str
    currency: Currency
    tax_included: bool
    vat_percent: Exact
    energy_price: Exact
    time_price: Exact
    start_fee: Exact
    valid_from: AwareDatetime
    agreed_only: bool
    created_at: AwareDatetime


@router.post(
    "", status_code=201, summary="Set the next tariff", dependencies=[scoped("tariffs:write")]
)
async def create_tariff(body: TariffIn, db: Db, caller: Caller) -> TariffOut:
    """Valid until the next one's `valid_from`. Running sessions keep the tariff they began with.

    Only the first may begin in the past; it closes the sessions that waited for it. One that is
    agreed only stands beside these: it prices the sessions of agreements that name it.
    """
    operator_id = caller.tenant()
    if body.agreed_only:
        valid_from = body.valid_from or now()
    else:
        await db.execute(select(func.pg_advisory_xact_lock(_lock_key(operator_id))))
        valid_from = _checked_start(body.valid_from, await db.scalar(_newest(operator_id)))
    new = insert(tables.Tariff).values(
        **body.model_dump(exclude={"valid_from"}), operator_id=operator_id, valid_from=valid_from
    )
    tariff = (await db.scalars(new.returning(tables.Tariff))).one()
    await outbox.emit(
        db,
        TariffChanged(
            operator_id=operator_id,
            tariff_id=tariff.id,
            name=tariff.name,
            valid_from=valid_from,
            agreed_only=tariff.agreed_only,
            prices=TariffPrices.model_validate(tariff, from_attributes=True),
        ),
    )
    if not tariff.agreed_only:
        await _serve_waiting(db, tariff)
    return TariffOut.model_validate(tariff)


def _newest(operator_id: UUID) -> Select[datetime]:
    return select(func.max(tables.Tariff.valid_from)).where(
        tables.Tariff.operator_id == operator_id, tables.Tariff.agreed_only.is_(False)
    )


def _checked_start(wanted: datetime | None, newest: datetime | None) -> datetime:
    """When the tariff begins. Raises TariffOverlap, TariffInThePast."""
    moment = now()
    start = wanted or moment
    if newest is None:
        return start
    if start <= newest:
        raise TariffOverlap(
            f"the newest tariff is valid from {newest.isoformat()}; start after it",
            newest_valid_from=newest.isoformat(),
        )
    if start < moment:
        raise TariffInThePast("sessions since then have their price; leave it out to start now")
    return start


async def _serve_waiting(db: AsyncSession, tariff: tables.Tariff) -> None:
    """Give the tariff to the sessions that began in its time and found none; close the ended.

    There are such sessions only for the first tariff, or if a charger's clock is ahead.
    """
    session = tables.Session
    waiting = (
        update(session)
        .where(
            session.operator_id == tariff.operator_id,
            session.tariff_id.is_(None),
            session.started_at >= tariff.valid_from,
        )
        .values(tariff_id=tariff.id)
        .returning(session)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    await records.close_records(db, (await db.scalars(waiting)).all(), tariff)


@router.get("", summary="List tariffs", dependencies=[scoped("tariffs:read")])
async def list_tariffs(
    db: Db, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[TariffOut]:
    """Newest first; the next one's `valid_from` ends each."""
    found, after = await paging.rows(
        db, select(tables.Tariff), tables.Tariff.id, limit=limit, cursor=cursor, newest_first=True
    )
    items = [TariffOut.model_validate(tariff) for tariff in found]
    return Page[TariffOut](items=items, next_cursor=after)


@router.get("/{tariff_id}", summary="One tariff", dependencies=[scoped("tariffs:read")])
async def get_tariff(tariff_id: UUID, db: Db) -> TariffOut:
    tariff = await db.get(tables.Tariff, tariff_id)
    if tariff is None:
        raise NotFound("there is no such tariff")
    return TariffOut.model_validate(tariff)


def _lock_key(operator_id: UUID) -> Any:
    return func.hashtextextended(f"tariffs of {operator_id}", 0)


async def find_valid(db: AsyncSession, operator_id: UUID, at: datetime) -> tables.Tariff | None:
    """The operator's tariff at a moment.

    None is certain until the caller's transaction ends: a first tariff that is being set
    meanwhile waits, and then finds the session that the caller is about to write.
    """
    asked = {"operator_id": operator_id, "at": at}
    found = await db.scalar(VALID, asked)
    if found is None:
        # Taken before any of the operator's waiting sessions is touched, so it cannot deadlock.
        await db.execute(select(func.pg_advisory_xact_lock_shared(_lock_key(operator_id))))
        found = await db.scalar(VALID, asked)
    return found
