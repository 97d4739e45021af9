"""What would this card pay here, and why: the price as a session would have it, with an example.

Nothing is opened or reserved by asking. It is resolved and rated by what prices sessions.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import costs, price_words, rating, tables
from billing.places import UnknownStation
from billing.pricing import known
from billing.pricing.choosing import PayerKind
from billing.pricing.resolution import Asked, Price, resolve
from billing.rating.course import Told
from billing.rating.model import TaxTreatment
from billing.terms import Method, Source
from common.auth import Caller, scoped
from common.authorize import Holder
from common.clock import Moment, now
from common.database import Db
from common.events import PriceLine, RecordLine
from common.money import Currency, Exact, Money
from common.problems import Problem

router = APIRouter(prefix="/v1/prices", tags=["prices"])

EXAMPLE_WH: Final = 20_000
EXAMPLE_MIN: Final = 60
WH_MAX: Final = 1_000_000
MIN_MAX: Final = 7 * 24 * 60


class UnknownCustomer(Problem):
    status = 422
    title = "The operator has no such card or user"


class AskedForCardAndUser(Problem):
    status = 422
    title = "A price is asked for a card or for a user"


class StepOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    source: Source
    taken: bool
    why: str


class PayerOut(BaseModel):
    kind: PayerKind
    id: UUID


class TariffThen(BaseModel):
    id: UUID
    series_id: UUID
    name: str
    currency: Currency
    tax_included: bool
    lines: list[PriceLine] = Field(
        description="in words, in the order kWh, minute, session, other; then discounts and tax"
    )


class ModifierOut(BaseModel):
    """A discount or an event that a session would get, and from when until when."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    scope: str
    kind: str
    amount: Exact
    from_at: datetime | None
    until_at: datetime | None


class ExampleOut(BaseModel):
    energy_wh: int
    minutes: int
    lines: list[RecordLine]
    total_net: Money
    vat: Money
    total_gross: Money


class PriceOut(BaseModel):
    at: datetime
    source: Source
    method: Method = Field(description="none: nobody is billed here")
    tax: TaxTreatment
    strategy_id: UUID | None
    strategy_name: str | None
    agreement_id: UUID | None
    payer: PayerOut | None = Field(description="whose account owes it")
    tariff: TariffThen | None = Field(description="null: none is valid, so nobody may charge")
    modifiers: list[ModifierOut]
    steps: list[StepOut] = Field(description="where a price may come from, until one is found")
    why: list[str] = Field(description="as the session's terms would keep it")
    example: ExampleOut | None


# PostgreSQL's text cannot hold NUL, not even in a comparison.
AtStation = Annotated[str, Query(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
CardId = Annotated[UUID | None, Query(description="of a card; neither: nobody is known")]
EvseId = Annotated[int | None, Query(ge=1, le=9999)]
At = Annotated[Moment | None, Query(description="when it would begin; default: now")]
EnergyWh = Annotated[int, Query(ge=0, le=WH_MAX, description="of the example")]
Minutes = Annotated[int, Query(ge=0, le=MIN_MAX, description="of the example")]


@router.get("", summary="What would be paid here, and why", dependencies=[scoped("tariffs:read")])
async def explain_price(
    db: Db,
    caller: Caller,
    station_id: AtStation,
    card_id: CardId = None,
    user_id: UUID | None = None,
    evse_id: EvseId = None,
    at: At = None,
    energy_wh: EnergyWh = EXAMPLE_WH,
    minutes: Minutes = EXAMPLE_MIN,
) -> PriceOut:
    """Of a session of `minutes` that takes its energy evenly."""
    if card_id is not None and user_id is not None:
        raise AskedForCardAndUser("a card has its user; name one of the two")
    operator_id = caller.tenant()
    station = await db.get(tables.Station, station_id)
    if station is None or station.operator_id != operator_id:
        raise UnknownStation(f"no station has the id {station_id}")
    moment = at or now()
    asked = Asked(operator_id, station_id, moment, evse_id)
    if card_id is not None:
        asked = await _as_card(db, asked, card_id)
    elif user_id is not None:
        asked = await _as_user(db, asked, user_id)
    price = await resolve(db, asked, begins=False)
    zone = ZoneInfo((await known.situation(db, asked)).time_zone)
    example = None
    if price.tariff is not None:
        ends = moment + timedelta(minutes=minutes)
        example = _example(price, price.tariff, Told(moment, ends, zone, energy_wh))
    return _out(price, moment, zone, example)


async def _as_card(db: AsyncSession, asked: Asked, card_id: UUID) -> Asked:
    """As the gateway would tell it. Raises UnknownCustomer."""
    card = await db.get(tables.Card, card_id)
    if card is None or card.operator_id != asked.operator_id:
        raise UnknownCustomer(f"no card has the id {card_id}")
    holder = Holder(
        user_group_ids=await _groups(db, card.user_id),
        company_id=card.company_id,
        company_master=card.company_master,
        cost_centre_id=card.cost_centre_id,
        partner_id=card.partner_id,
        accounting_strategy_id=card.accounting_strategy_id,
    )
    return Asked(
        asked.operator_id, asked.station_id, asked.at, asked.evse_id, card_id, card.user_id, holder
    )


async def _as_user(db: AsyncSession, asked: Asked, user_id: UUID) -> Asked:
    """With a card that has nothing of its own. Raises UnknownCustomer."""
    person = await db.get(tables.Person, user_id)
    if person is None or person.operator_id != asked.operator_id:
        raise UnknownCustomer(f"no user has the id {user_id}")
    holder = Holder(user_group_ids=tuple(person.group_ids))
    return Asked(
        asked.operator_id, asked.station_id, asked.at, asked.evse_id, None, user_id, holder
    )


async def _groups(db: AsyncSession, user_id: UUID | None) -> tuple[UUID, ...]:
    query = select(tables.Person.group_ids).where(tables.Person.user_id == user_id)
    return tuple(await db.scalar(query) or ())


def _example(price: Price, tariff: tables.Tariff, told: Told) -> ExampleOut:
    terms = price.terms
    rated = rating.price(told, costs.tariff_of(tariff), terms.modifiers, terms.tax)

    def money(amount: Decimal) -> Money:
        return Money(amount=amount, currency=tariff.currency)

    return ExampleOut(
        energy_wh=told.energy_wh,
        minutes=int((told.ended_at - told.started_at).total_seconds()) // 60,
        lines=list(rated.lines),
        total_net=money(rated.total.net),
        vat=money(rated.total.vat),
        total_gross=money(rated.total.gross),
    )


def _out(price: Price, at: datetime, zone: ZoneInfo, example: ExampleOut | None) -> PriceOut:
    terms, tariff = price.terms, price.tariff
    return PriceOut(
        at=at,
        source=terms.source,
        method=terms.method,
        tax=terms.tax,
        strategy_id=terms.strategy_id,
        strategy_name=price.strategy_name,
        agreement_id=price.agreement_id,
        payer=PayerOut(kind=price.payer[0], id=price.payer[1]) if price.payer else None,
        tariff=_tariff(price, tariff, zone) if tariff else None,
        modifiers=[
            ModifierOut(
                id=one.id, name=one.name, scope=one.scope, kind=one.kind, amount=one.amount,
                from_at=one.window.from_at, until_at=one.window.until_at,
            )
            for one in terms.modifiers
        ],
        steps=[StepOut.model_validate(step) for step in price.steps],
        why=list(terms.why),
        example=example,
    )  # fmt: skip


def _tariff(price: Price, tariff: tables.Tariff, zone: ZoneInfo) -> TariffThen:
    model = costs.tariff_of(tariff)
    free = price.terms.method == "free" or price_words.costs_nothing(model)
    lines = price_words.lines(
        model,
        price.terms.modifiers,
        zone,
        free=free,
        tax=price.terms.tax,
    )
    return TariffThen(
        id=tariff.id,
        series_id=tariff.series_id,
        name=tariff.name,
        currency=tariff.currency,
        tax_included=tariff.tax_included and price.terms.tax == "as_tariff",
        lines=list(lines),
    )
