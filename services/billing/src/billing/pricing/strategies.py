"""Accounting strategies: how accounts pay, by which tariffs where, and up to what limits.

A change holds for the sessions that begin after it; those that run keep what they began with.
"""

from contextlib import AbstractContextManager
from datetime import date, datetime, time
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from billing import tables, tariffs
from billing.operators import DEFAULT_TIME_ZONE
from billing.places import check_places
from billing.pricing import payers
from billing.pricing.choosing import Entry, overlapping
from billing.rating.model import TaxTreatment
from billing.tariffs import TariffInAnotherCurrency
from common import outbox, paging, single
from common.auth import Caller, Principal, scoped
from common.clock import now
from common.database import Db
from common.events import AccountingStrategyChanged
from common.fields import Body, Line, Patch
from common.money import Currency, CurrencyIn, Exact, digits, schema
from common.paging import Cursor, Limit, Page
from common.places import PlaceIn
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected

router = APIRouter(prefix="/v1/accounting-strategies", tags=["accounting strategies"])

reads = scoped("accounting-strategies:read")
writes = scoped("accounting-strategies:write")

TARIFFS_MAX: Final = 500  # read with each session of somebody who has the strategy
SUM: Final = "^[0-9]{1,10}([.][0-9]{1,2})?$"
Sum = Annotated[Exact, digits(SUM), schema(SUM, "25.00")]
TOLD: Final = ("operator_id", "version", "name", "active", "method")

_VERSION: Final = aliased(tables.Tariff)
SINCE: Final = (
    select(func.min(_VERSION.valid_from))
    .where(_VERSION.series_id == tables.Tariff.series_id, _VERSION.withdrawn_at.is_(None))
    .scalar_subquery()
)

PayingMethod = Literal["prepaid", "per_session", "monthly", "yearly", "free"]
PaymentMethod = Literal["invoice", "sepa_direct_debit", "card", "wallet"]


class UnknownStrategy(Problem):
    status = 422
    title = "The operator has no such accounting strategy"


class StrategyNameTaken(Problem):
    status = 409
    title = "There is an accounting strategy with this name already"


class TariffNotForStrategies(Problem):
    status = 422
    title = "A strategy names a tariff that is agreed only"


class TariffNotYetValid(Problem):
    status = 422
    title = "The tariff is not valid yet when the strategy would use it"


class StrategyTariffsOverlap(Problem):
    status = 422
    title = "Two tariffs are for the same place at the same time"


class StrategyContradicts(Problem):
    status = 422
    title = "The strategy contradicts itself"


class StrategyInUse(Problem):
    status = 409
    title = "Somebody has this strategy"


class StrategiesOfEveryLocation(Problem):
    status = 403
    title = "Strategies are kept by staff who see every location"


class TariffThere(Body):
    """One of a strategy's tariffs: where, and on which days by the operator's clock."""

    place: PlaceIn
    valid_from: date | None = None
    valid_until: date | None = Field(default=None, description="the last day")
    tariff_id: UUID | None = Field(
        default=None, description="one that is agreed_only; null: the operator's own price"
    )


Tariffs = Annotated[
    list[TariffThere],
    Field(
        max_length=TARIFFS_MAX,
        description="the closest place counts: station, station group, location, everywhere; where "
        "none is meant, the operator's own price does",
    ),
]
Limited = Annotated[
    Sum | None,
    Field(description="how far below zero an account may go; null: prepaid 0, others no limit"),
]
MinimumBalance = Annotated[Sum | None, Field(description="to begin a session with")]
MinimumInvoice = Annotated[Sum | None, Field(description="less is carried over to the next run")]
Estimate = Annotated[Sum | None, Field(description="prepaid: what is held when a session begins")]


class StrategyIn(Body):
    name: Line
    method: PayingMethod
    currency: CurrencyIn
    tax: TaxTreatment = Field(
        default="as_tariff",
        description="as_tariff: gross or net as the prices are; net: for companies, VAT on top of "
        "the sum; reverse_charge: net, and the company with its VAT id owes the VAT",
    )
    payment_method: PaymentMethod | None = Field(
        default=None, description="default: wallet if prepaid, else invoice"
    )
    credit_limit: Limited = None
    minimum_topup: Sum | None = None
    minimum_balance: MinimumBalance = None
    minimum_invoice: MinimumInvoice = None
    prepaid_estimate: Estimate = None
    tariffs: Tariffs = Field(default_factory=list)
    active: bool = True


class StrategyPatch(Patch):
    may_be_null: ClassVar[frozenset[str]] = frozenset(
        {"credit_limit", "minimum_topup", "minimum_balance", "minimum_invoice", "prepaid_estimate"}
    )

    name: Line | None = None
    method: PayingMethod | None = None
    tax: TaxTreatment | None = None
    payment_method: PaymentMethod | None = None
    credit_limit: Limited = None
    minimum_topup: Sum | None = None
    minimum_balance: MinimumBalance = None
    minimum_invoice: MinimumInvoice = None
    prepaid_estimate: Estimate = None
    tariffs: Tariffs | None = None
    active: bool | None = Field(
        default=None, description="false: it counts for nobody any more; refused while assigned"
    )


class StrategyOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    name: str
    active: bool
    method: PayingMethod
    currency: Currency
    tax: TaxTreatment
    payment_method: PaymentMethod
    credit_limit: Exact | None
    minimum_topup: Exact | None
    minimum_balance: Exact | None
    minimum_invoice: Exact | None
    prepaid_estimate: Exact | None
    tariffs: list[TariffThere]
    version: int


@router.get("", summary="List the accounting strategies", dependencies=[reads])
async def list_strategies(
    db: Db,
    caller: Caller,
    active: bool | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[StrategyOut]:
    table = tables.AccountingStrategy
    wanted = {table.operator_id: caller.operator_id, table.active: active}
    query = select(table).where(*paging.given(wanted))
    found, after = await paging.rows(db, query, table.id, limit=limit, cursor=cursor)
    return Page(items=[StrategyOut.model_validate(row) for row in found], next_cursor=after)


@router.get("/{strategy_id}", summary="Read an accounting strategy", dependencies=[reads])
async def read_strategy(strategy_id: UUID, db: Db, response: Response) -> StrategyOut:
    row = await single.get(db, tables.AccountingStrategy, strategy_id)
    return StrategyOut.model_validate(single.tagged(response, row))


@router.post("", status_code=201, summary="Make an accounting strategy", dependencies=[writes])
async def make_strategy(
    body: StrategyIn, db: Db, caller: Caller, response: Response
) -> StrategyOut:
    of_every_location(caller)
    operator_id = caller.tenant()
    usual = "wallet" if body.method == "prepaid" else "invoice"
    values = body.model_dump() | {
        "tariffs": body.model_dump(mode="json")["tariffs"],
        "payment_method": body.payment_method or usual,
    }
    row = tables.AccountingStrategy(operator_id=operator_id, **values)
    own = await tariffs.own_currency(db, operator_id)
    priced = await _check(db, row, own)
    db.add(row)
    with _refusing(body.name):
        await db.flush()
    await _tell(db, row, priced)
    return StrategyOut.model_validate(single.tagged(response, row))


@router.patch("/{strategy_id}", summary="Change an accounting strategy", dependencies=[writes])
async def change_strategy(
    strategy_id: UUID,
    body: StrategyPatch,
    expected: Expected,
    db: Db,
    caller: Caller,
    response: Response,
) -> StrategyOut:
    """For sessions from now on; those that run keep their terms. The currency stays."""
    of_every_location(caller)
    values = body.changes()
    if body.tariffs is not None:
        values["tariffs"] = body.model_dump(mode="json")["tariffs"]
    table = tables.AccountingStrategy
    operator_id = await db.scalar(select(table.operator_id).where(table.id == strategy_id))
    # Its lock before the strategy's row, as a session takes them.
    own = await tariffs.own_currency(db, operator_id) if operator_id else None
    with _refusing(body.name):
        row = await single.change(db, table, strategy_id, expected, values)
    priced = await _check(db, row, own)
    if not row.active:
        await _check_unassigned(db, row)
    await payers.follow(db, row)
    await _tell(db, row, priced)
    return StrategyOut.model_validate(single.tagged(response, row))


def of_every_location(caller: Principal) -> None:
    if caller.locations is not None:
        raise StrategiesOfEveryLocation("ask an admin")


async def known_strategy(
    db: AsyncSession, operator_id: UUID, strategy_id: UUID
) -> tables.AccountingStrategy:
    """Raises UnknownStrategy."""
    strategy = await db.get(tables.AccountingStrategy, strategy_id)
    if strategy is None or strategy.operator_id != operator_id:
        raise UnknownStrategy(f"no strategy has the id {strategy_id}")
    return strategy


Priced = dict[UUID, datetime]


async def _check(db: AsyncSession, row: tables.AccountingStrategy, own: str | None) -> Priced:
    """Since when each tariff that it names has a price. Raises what refuses the strategy.

    own: the currency of the operator's own tariffs.
    """
    if row.active and own not in {None, row.currency}:
        raise TariffInAnotherCurrency(f"the operator's own is in {own}")
    there = [TariffThere.model_validate(one) for one in row.tariffs]
    for one in there:
        if one.valid_from and one.valid_until and one.valid_until < one.valid_from:
            raise StrategyContradicts(f"a tariff ends on {one.valid_until}, before it begins")
    entries = [
        Entry(
            number,
            frozenset({(one.place.kind, one.place.id or "")}),
            one.valid_from,
            one.valid_until,
            one.tariff_id,
        )
        for number, one in enumerate(there)
    ]
    if twice := overlapping(entries):
        numbers = sorted(one.id for one in twice)
        raise StrategyTariffsOverlap(f"tariffs {numbers} of the list, from 0", numbers=numbers)
    if row.method == "prepaid" and row.payment_method == "invoice":
        raise StrategyContradicts("prepaid is not paid by invoice: say wallet or card")
    if row.prepaid_estimate is not None and row.method != "prepaid":
        raise StrategyContradicts("prepaid_estimate is for the method prepaid")
    if row.minimum_invoice is not None and row.method in {"prepaid", "free"}:
        raise StrategyContradicts(f"minimum_invoice is not for the method {row.method}")
    await check_places(db, row.operator_id, [one.place for one in there])
    return await _check_tariffs(db, row, there)


async def _check_tariffs(
    db: AsyncSession, row: tables.AccountingStrategy, there: list[TariffThere]
) -> Priced:
    """One that is named stands for its series: which version counts is decided each time."""
    wanted = {one.tariff_id for one in there if one.tariff_id is not None}
    await tariffs.keep_valid(db, wanted)
    query = select(tables.Tariff, SINCE).where(
        tables.Tariff.operator_id == row.operator_id, tables.Tariff.id.in_(wanted)
    )
    found = (await db.execute(query)).all() if wanted else []
    known = {tariff.id: tariff for tariff, _ in found}
    since = {tariff.id: first for tariff, first in found}
    for tariff_id in sorted(wanted):
        tariff = known.get(tariff_id)
        if tariff is None:
            raise TariffNotForStrategies(f"there is no tariff with the id {tariff_id}")
        if not tariff.agreed_only:
            raise TariffNotForStrategies(f"{tariff_id}: make a tariff with agreed_only true")
        if tariff.currency != row.currency:
            raise TariffInAnotherCurrency(f"{tariff.name!r} is in {tariff.currency}")
    zone = await _time_zone(db, row.operator_id)
    for one in there:
        if one.tariff_id is None:
            continue
        if (first := since[one.tariff_id]) is None:
            raise TariffNotForStrategies(f"{one.tariff_id} has been withdrawn")
        if first > _begins(one, zone):
            raise TariffNotYetValid(f"{one.tariff_id} is valid from {first}")
    return since


async def _time_zone(db: AsyncSession, operator_id: UUID) -> ZoneInfo:
    operator = await db.get(tables.Operator, operator_id)
    return ZoneInfo(operator.time_zone if operator else DEFAULT_TIME_ZONE)


def _begins(one: TariffThere, zone: ZoneInfo) -> datetime:
    """The first moment from now on at which it would be used."""
    moment = now()
    if one.valid_from is None:
        return moment
    return max(moment, datetime.combine(one.valid_from, time(), zone))


async def _check_unassigned(db: AsyncSession, row: tables.AccountingStrategy) -> None:
    """Cards that carry it are identity's: for those it counts no more, and the next source does."""
    held = select(tables.StrategyAssignment.holder_kind).where(
        tables.StrategyAssignment.strategy_id == row.id
    )
    kind = await db.scalar(held.limit(1))
    if kind is not None:
        raise StrategyInUse(f"a {kind} has it: take it away first, or give another one")


def _refusing(name: str | None) -> AbstractContextManager[None]:
    taken = StrategyNameTaken(f"there is one called {name!r}")
    return refusing({"uq_accounting_strategy_operator_id_name": taken})


async def _tell(db: AsyncSession, row: tables.AccountingStrategy, priced: Priced) -> None:
    tariffs = [
        one | {"priced_from": priced[UUID(one["tariff_id"])] if one["tariff_id"] else None}
        for one in row.tariffs
    ]
    facts = {name: getattr(row, name) for name in TOLD}
    told = facts | {"strategy_id": row.id, "tariffs": tariffs}
    await outbox.emit(db, AccountingStrategyChanged.model_validate(told))
