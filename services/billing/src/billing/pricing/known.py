"""What is kept that decides a price: where and when it is, who has which strategy, what a partner
agreed on.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.operators import DEFAULT_TIME_ZONE
from billing.pricing.choosing import (
    Agreed,
    Asked,
    Assigned,
    Customer,
    Entry,
    HolderKind,
    Strategy,
)
from billing.rating.model import TaxTreatment
from billing.terms import Method
from common.closest import chosen
from common.places import Names, names_of


class Situation(NamedTuple):
    """Where and when it is, in the words that strategies and agreements use."""

    names: Names
    day: date  # by the operator's clock
    time_zone: str  # of the location, or else the operator's


HERE: Final = (
    tables.Station.operator_id == bindparam("operator"),
    tables.Station.station_id == bindparam("station"),
)
WHERE: Final = select(
    select(tables.Operator.time_zone)
    .where(tables.Operator.operator_id == bindparam("operator"))
    .scalar_subquery(),
    select(tables.Station.location_id).where(*HERE).scalar_subquery(),
    select(tables.Location.time_zone)
    .join(tables.Station, tables.Station.location_id == tables.Location.location_id)
    .where(*HERE, tables.Location.operator_id == bindparam("operator"))
    .scalar_subquery(),
    func.array(
        select(tables.StationGroupMember.group_id)
        .where(
            tables.StationGroupMember.operator_id == bindparam("operator"),
            tables.StationGroupMember.station_id == bindparam("station"),
            tables.StationGroupMember.member,
        )
        .scalar_subquery()
    ),
)
OF_PARTNER: Final = select(tables.Agreement).where(
    tables.Agreement.operator_id == bindparam("operator"),
    tables.Agreement.partner_id == bindparam("partner"),
)
_GIVEN: Final = tables.StrategyAssignment
_STRATEGY: Final = tables.AccountingStrategy
ASSIGNED: Final = (
    select(_GIVEN, _STRATEGY)
    .join(_STRATEGY, _STRATEGY.id == _GIVEN.strategy_id)
    .where(
        _GIVEN.operator_id == bindparam("operator"),
        or_(
            _GIVEN.holder_kind == "everybody",
            and_(_GIVEN.holder_kind == "company", _GIVEN.holder_id == bindparam("company")),
            and_(_GIVEN.holder_kind == "user", _GIVEN.holder_id == bindparam("user")),
            and_(
                _GIVEN.holder_kind == "user_group",
                _GIVEN.holder_id == func.any(bindparam("groups")),
            ),
        ),
    )
)
OF_CARD: Final = select(_STRATEGY).where(
    _STRATEGY.operator_id == bindparam("operator"), _STRATEGY.id == bindparam("strategy")
)
# Billing's own knowledge: what holds of a user card says nothing of the master card's strategy.
MASTERS: Final = (
    select(_STRATEGY)
    .join(tables.Card, tables.Card.accounting_strategy_id == _STRATEGY.id)
    .where(
        _STRATEGY.operator_id == bindparam("operator"),
        tables.Card.operator_id == bindparam("operator"),
        tables.Card.company_id == bindparam("company"),
        tables.Card.company_master,
    )
)


async def situation(db: AsyncSession, asked: Asked) -> Situation:
    named = {"operator": asked.operator_id, "station": asked.station_id}
    time_zone, location_id, local, group_ids = (await db.execute(WHERE, named)).one()
    zone = time_zone or DEFAULT_TIME_ZONE
    names = names_of(asked.station_id, location_id, group_ids)
    return Situation(names, asked.at.astimezone(ZoneInfo(zone)).date(), local or zone)


async def agreed(db: AsyncSession, asked: Asked, where: Situation) -> Agreed | None:
    partner_id = asked.customer.partner_id
    if partner_id is None:
        return None
    found = await db.scalars(OF_PARTNER, {"operator": asked.operator_id, "partner": partner_id})
    agreements = [
        Agreed(
            row.id,
            frozenset((place["kind"], place["id"] or "") for place in row.places),
            row.valid_from,
            row.valid_until,
            row.tariff_id,
            row.name,
        )
        for row in found
    ]
    return chosen(agreements, where.names, where.day)


async def of_card(db: AsyncSession, asked: Asked) -> Strategy | None:
    strategy_id = asked.customer.card_strategy_id
    if strategy_id is None:
        return None
    row = await db.scalar(OF_CARD, {"operator": asked.operator_id, "strategy": strategy_id})
    return strategy_of(row) if row else None


async def assigned(
    db: AsyncSession, operator_id: UUID, customer: Customer
) -> dict[HolderKind, Sequence[Assigned]]:
    """By kind of holder. A company's is what its master card carries, or else what it was given."""
    meant = {
        "operator": operator_id,
        "company": customer.company_id,
        "user": customer.user_id,
        "groups": list(customer.user_group_ids),
    }
    found: dict[Any, list[Assigned]] = {}
    for given, row in await db.execute(ASSIGNED, meant):
        one = Assigned(given.id, given.holder_id, given.priority, strategy_of(row))
        found.setdefault(given.holder_kind, []).append(one)
    if customer.company_id is not None and not customer.company_master:
        of_company = {"operator": operator_id, "company": customer.company_id}
        for row in await db.scalars(MASTERS, of_company):
            if row.active:
                found["company"] = [Assigned(row.id, customer.company_id, 0, strategy_of(row))]
    return {kind: found[kind] for kind in found}


def strategy_of(row: tables.AccountingStrategy) -> Strategy:
    entries = tuple(
        Entry(
            number,
            frozenset({(one["place"]["kind"], one["place"]["id"] or "")}),
            _day(one["valid_from"]),
            _day(one["valid_until"]),
            UUID(one["tariff_id"]) if one["tariff_id"] else None,
        )
        for number, one in enumerate(row.tariffs)
    )
    return Strategy(row.id, row.name, row.active, _method_of(row), _tax_of(row), entries)


def _method_of(row: tables.AccountingStrategy) -> Method:
    method: Method = row.method  # type: ignore[assignment]
    return method


def _tax_of(row: tables.AccountingStrategy) -> TaxTreatment:
    tax: TaxTreatment = row.tax  # type: ignore[assignment]
    return tax


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
