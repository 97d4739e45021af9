"""Tariffs: in immutable versions without hole or overlap, the operator's own and agreed ones."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from billing import costs, price_words, session_prices, tables
from billing.definitions import Definition, Percent, Price, highest, problem
from billing.records.closing import close_records
from common import outbox, paging
from common.auth import Caller, scoped
from common.clock import LATEST, Moment, now
from common.database import Db
from common.events import TariffChanged, TariffPrices
from common.fields import Line
from common.ids import uuid7
from common.money import Currency, CurrencyIn, Exact
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem

router = APIRouter(prefix="/v1/tariffs", tags=["tariffs"])

FARTHEST_EAST: Final = timedelta(hours=14)  # the clocks there are ahead of UTC's
NAMED: Final = aliased(tables.Tariff)
VALID: Final = (
    select(tables.Tariff)
    .where(
        tables.Tariff.operator_id == bindparam("operator_id"),
        tables.Tariff.valid_from <= bindparam("at"),
        tables.Tariff.agreed_only.is_(False),
        tables.Tariff.withdrawn_at.is_(None),
    )
    .order_by(tables.Tariff.valid_from.desc())
    .limit(1)
)


OF_SERIES: Final = (
    select(tables.Tariff)
    .where(
        tables.Tariff.operator_id == bindparam("operator_id"),
        tables.Tariff.series_id
        == select(NAMED.series_id)
        .where(NAMED.id == bindparam("tariff_id"), NAMED.operator_id == bindparam("operator_id"))
        .scalar_subquery(),
        tables.Tariff.valid_from <= bindparam("at"),
        tables.Tariff.withdrawn_at.is_(None),
    )
    .order_by(tables.Tariff.valid_from.desc())
    .limit(1)
)


class UnknownSeries(Problem):
    status = 422
    title = "There is no such series of tariffs"


class SeriesInOtherCurrency(Problem):
    status = 422
    title = "All versions of a tariff have one currency"


class TariffInAnotherCurrency(Problem):
    status = 422
    title = "The tariff is in another currency than the strategy"


class TariffOverlap(Problem):
    status = 409
    title = "Tariffs would overlap"


class TariffInThePast(Problem):
    status = 422
    title = "Tariff starts in the past"


class TariffIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[Line, Field(max_length=80)]
    currency: CurrencyIn
    tax_included: bool = Field(default=True, description="true: the prices are gross")
    vat_percent: Percent | None = Field(
        default=None, description="of the three prices that follow; a definition has its own"
    )
    energy_price: Price | None = Field(default=None, description="per kWh")
    time_price: Price | None = Field(default=None, description="per minute of the whole session")
    start_fee: Price | None = Field(default=None, description="once a session")
    definition: Definition | None = Field(
        default=None, description="instead of the three prices: OCPI's elements, caps, an idle fee"
    )
    valid_from: Moment | None = Field(
        default=None, description="default: now; it is valid until another version begins"
    )
    agreed_only: bool = Field(
        default=False,
        description="a price for strategies and agreements; the operator's own goes on",
    )
    series_id: UUID | None = Field(
        default=None,
        description="another version of one that is agreed only; it counts wherever one of the "
        "series is named, from valid_from on",
    )

    @model_validator(mode="after")
    def _priced_once(self) -> Self:
        simply = (self.vat_percent, self.energy_price, self.time_price, self.start_fee)
        if self.definition is not None and any(one is not None for one in simply):
            raise ValueError("a definition has its own prices and VAT: leave the others out")
        if self.definition is None and (self.vat_percent is None or self.energy_price is None):
            raise ValueError("say energy_price and vat_percent, or a definition")
        if self.series_id is not None and not self.agreed_only:
            raise ValueError("the operator's own tariffs are one series: leave series_id out")
        if self.definition is not None:
            # The latest that it may be where it begins: by an earlier one a tariff from an eastern
            # midnight on would have a hole in the hours before.
            since = ((self.valid_from or now()) + FARTHEST_EAST).astimezone(UTC).date()
            if (found := problem(self.definition, since)) is not None:
                raise ValueError(found)
        return self

    def columns(self) -> dict[str, Any]:
        """Of the table; with a definition the highest price of each dimension."""
        values = self.model_dump(include={"name", "currency", "tax_included", "agreed_only"})
        if self.definition is None:
            prices = {
                "energy_price": self.energy_price,
                "time_price": self.time_price or Decimal(0),
                "start_fee": self.start_fee or Decimal(0),
                "vat_percent": self.vat_percent,
            }
            return values | prices
        kept = self.definition.model_dump(mode="json", exclude_none=True)
        return values | highest(self.definition) | {"definition": kept}


class TariffOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    series_id: UUID = Field(description="whose version it is; it ends where the next one begins")
    name: str
    currency: Currency
    tax_included: bool
    vat_percent: Exact = Field(description="with a definition the highest, as of the next three")
    energy_price: Exact
    time_price: Exact
    start_fee: Exact
    definition: Definition | None
    valid_from: AwareDatetime
    agreed_only: bool
    created_at: AwareDatetime
    withdrawn_at: AwareDatetime | None = Field(description="it never was valid")


@router.post(
    "", status_code=201, summary="Set the next tariff", dependencies=[scoped("tariffs:write")]
)
async def create_tariff(body: TariffIn, db: Db, caller: Caller) -> TariffOut:
    """Valid until the next one's `valid_from`, which may be there already. Running sessions keep
    the tariff they began with.

    Only before one of the operator's own is valid may another begin in the past; it closes the
    sessions that waited for it. They are in one currency, that of each active strategy. One that
    is agreed only stands beside these: it prices the sessions whose strategy or agreement names one
    of its series.
    """
    operator_id = caller.tenant()
    await lock(db, operator_id)
    series_id, begins = await _series(db, operator_id, body)
    if not body.agreed_only:
        await _check_strategies(db, operator_id, body.currency)
    valid_from = _checked_start(body.valid_from, begins)
    new = insert(tables.Tariff).values(
        **body.columns(), operator_id=operator_id, series_id=series_id, valid_from=valid_from
    )
    tariff = (await db.scalars(new.returning(tables.Tariff))).one()
    await tell(db, tariff)
    if not tariff.agreed_only:
        await _serve_waiting(
            db, tariff, min((one for one in begins if one > valid_from), default=None)
        )
    return TariffOut.model_validate(tariff)


async def tell(db: AsyncSession, tariff: tables.Tariff) -> None:
    changed = TariffChanged(
        operator_id=tariff.operator_id,
        tariff_id=tariff.id,
        name=tariff.name,
        valid_from=tariff.valid_from,
        agreed_only=tariff.agreed_only,
        prices=TariffPrices.model_validate(tariff, from_attributes=True),
        lines=price_words.lines(costs.tariff_of(tariff)),
        withdrawn=tariff.withdrawn_at is not None,
    )
    await outbox.emit(db, changed)


async def _series(
    db: AsyncSession, operator_id: UUID, body: TariffIn
) -> tuple[UUID, list[datetime]]:
    """Whose version it becomes, and when those that there are begin. Raises UnknownSeries,
    SeriesInOtherCurrency.
    """
    tariff = tables.Tariff
    of_it = select(tariff).where(tariff.operator_id == operator_id, tariff.withdrawn_at.is_(None))
    if body.series_id is not None:
        of_it = of_it.where(tariff.series_id == body.series_id, tariff.agreed_only)
    elif body.agreed_only:
        return uuid7(), []
    else:
        of_it = of_it.where(tariff.agreed_only.is_(False))
    versions = (await db.scalars(of_it)).all()
    if not versions:
        if body.series_id is not None:
            raise UnknownSeries(f"no tariff that is agreed only has the series {body.series_id}")
        return uuid7(), []
    if (currency := versions[0].currency) != body.currency:
        raise SeriesInOtherCurrency(f"the series is in {currency}")
    return versions[0].series_id, [one.valid_from for one in versions]


async def _check_strategies(db: AsyncSession, operator_id: UUID, currency: str) -> None:
    """A session that waits for the first tariff has an account in its strategy's currency, and
    nothing in another one can be booked to that. Raises TariffInAnotherCurrency.
    """
    table = tables.AccountingStrategy
    other = await db.scalar(
        select(table)
        .where(table.operator_id == operator_id, table.active, table.currency != currency)
        .limit(1)
    )
    if other is not None:
        raise TariffInAnotherCurrency(f"the strategy {other.name!r} is in {other.currency}")


def _checked_start(wanted: datetime | None, begins: Collection[datetime]) -> datetime:
    """When the tariff begins; it ends where the next of those that there are does. Raises
    TariffOverlap, TariffInThePast.
    """
    moment = now()
    start = wanted or moment
    if start in begins:
        raise TariffOverlap(f"another version is valid from {start.isoformat()}")
    if start < moment and any(one <= moment for one in begins):
        raise TariffInThePast("sessions since then have their price; leave it out to start now")
    return start


async def _serve_waiting(db: AsyncSession, tariff: tables.Tariff, until: datetime | None) -> None:
    """Give the tariff to the sessions that began in its time and found none; close the ended.

    There are such sessions only before any tariff is valid, or if a charger's clock is ahead.
    """
    session = tables.Session
    waiting = (
        update(session)
        .where(
            session.operator_id == tariff.operator_id,
            session.tariff_id.is_(None),
            session.started_at >= tariff.valid_from,
            session.started_at < (until or LATEST),
        )
        .values(tariff_id=tariff.id)
        .returning(session)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    served = (await db.scalars(waiting)).all()
    await close_records(db, served, tariff)
    await session_prices.tell(db, served, tariff)


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


async def lock(db: AsyncSession, operator_id: UUID) -> None:
    """Let nobody else set or withdraw one of the operator's, until the transaction ends."""
    await db.execute(select(func.pg_advisory_xact_lock(_lock_key(operator_id))))


async def keep_valid(db: AsyncSession, tariff_ids: Collection[UUID]) -> None:
    """Let no version of their series be withdrawn until the transaction ends: they are named."""
    tariff = tables.Tariff
    series = select(NAMED.series_id).where(NAMED.id.in_(tariff_ids))
    versions = select(tariff.id).where(tariff.series_id.in_(series)).order_by(tariff.id)
    await db.execute(versions.with_for_update(read=True, of=tariff))


def _lock_key(operator_id: UUID) -> Any:
    return func.hashtextextended(f"tariffs of {operator_id}", 0)


async def find_of_series(
    db: AsyncSession, operator_id: UUID, tariff_id: UUID, at: datetime
) -> tables.Tariff | None:
    """The version that holds at a moment of the series that a tariff is of; None: none yet."""
    return await db.scalar(
        OF_SERIES, {"operator_id": operator_id, "tariff_id": tariff_id, "at": at}
    )


async def own_currency(db: AsyncSession, operator_id: UUID) -> str | None:
    """That of the operator's own tariffs, of one that is not valid yet too.

    None is certain until the caller's transaction ends: a first tariff that is being set
    meanwhile waits, and then finds the strategy that the caller is about to write.
    """
    tariff = tables.Tariff
    newest = (
        select(tariff.currency)
        .where(
            tariff.operator_id == operator_id,
            tariff.agreed_only.is_(False),
            tariff.withdrawn_at.is_(None),
        )
        .order_by(tariff.valid_from.desc())
        .limit(1)
    )
    found: str | None = await db.scalar(newest)
    if found is None:
        await db.execute(select(func.pg_advisory_xact_lock_shared(_lock_key(operator_id))))
        found = await db.scalar(newest)
    return found


async def find_valid(db: AsyncSession, operator_id: UUID, at: datetime) -> tables.Tariff | None:
    """The operator's own tariff at a moment.

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
