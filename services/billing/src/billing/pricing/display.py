"""The price that each station shows whoever has no contract, told when it changes.

Triggers note in display_change whose prices may have changed (tariffs, the default strategy,
discounts, where stations stand), display_round says when the clock changes one next. A loop looks
at an operator as a whole: what has changed since it was told is told. Replicas take turns by the
operator's row, and a crash repeats a look, which tells nothing twice.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from prometheus_client import Counter
from sqlalchemy import bindparam, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import costs, price_words, tables, tariffs
from billing.discounts.applying import Offer, Situation, meant, modifier_of, where_names
from billing.discounts.finding import offer_of
from billing.operators import DEFAULT_TIME_ZONE
from billing.pricing.choosing import Strategy
from billing.pricing.displayed import a_minute, next_change, shown_at
from billing.pricing.known import strategy_of
from billing.pricing.resolution import free_modifier
from billing.rating.model import Modifier
from common import clock, outbox
from common.closest import chosen
from common.database import PLATFORM, Connections
from common.events import DisplayPrice, DisplayPricesChanged
from common.places import Names, names_of

log = logging.getLogger(__name__)

FAILED = Counter("csms_billing_display_looks_failed_total", "Looks at shown prices that failed")

LOOK_EVERY_S: Final = 1.0
OPERATORS_AT_ONCE: Final = 50
STATIONS_AN_EVENT: Final = 1000
# Whatever happens, an operator is looked at once in this time; what is dated begins at midnight.
LATEST: Final = timedelta(hours=12)

# At random, so that those which fail do not keep the others from their turn.
WANTED: Final = text(
    """
    select operator_id from (
        select operator_id from display_change
        union select operator_id from display_round where due_at <= :now
    ) wanted order by random() limit :most
    """
)
# Locks the operator until the end, so that one replica looks at it; a look counts its versions.
BEGIN: Final = text(
    "insert into display_round (operator_id, version, due_at) values (:operator, 1, :now) "
    "on conflict (operator_id) do update set version = display_round.version + 1 "
    "returning version"
)
FORGET: Final = text("delete from display_change where operator_id = :operator")
DUE: Final = text("update display_round set due_at = :due where operator_id = :operator")
STATIONS: Final = text(
    """
    select s.station_id, s.location_id, l.time_zone, p.shown, p.station_id is not null as known,
        array(
            select m.group_id from station_group_member m
            where m.operator_id = s.operator_id and m.station_id = s.station_id and m.member
            order by 1
        ) as group_ids,
        (select max(value::int) from jsonb_each_text(s.power_w)) as power_w
    from station s
    left join location l on l.operator_id = s.operator_id and l.location_id = s.location_id
    left join display_price p on p.station_id = s.station_id
    where s.operator_id = :operator
    order by s.station_id
    """
)
SHOW: Final = text(
    """
    insert into display_price (station_id, operator_id, version, shown)
    select id, :operator, :version, cast(:shown as jsonb)
    from unnest(cast(:ids as text[])) as one (id) order by id
    on conflict (station_id) do update set operator_id = excluded.operator_id,
        version = excluded.version, shown = excluded.shown
    """
)
DEFAULT: Final = (
    select(tables.AccountingStrategy)
    .join(
        tables.StrategyAssignment,
        tables.StrategyAssignment.strategy_id == tables.AccountingStrategy.id,
    )
    .where(
        tables.StrategyAssignment.operator_id == bindparam("operator"),
        tables.StrategyAssignment.holder_kind == "everybody",
    )
)
# With a quota it may be used up when somebody comes: what is shown is never less than what is owed.
OFFERS: Final = (
    select(tables.Discount)
    .where(
        tables.Discount.operator_id == bindparam("operator"),
        tables.Discount.activated_at.is_not(None),
        or_(tables.Discount.ends_at.is_(None), tables.Discount.ends_at > bindparam("at")),
        func.cardinality(tables.Discount.people) == 0,
        tables.Discount.quota_unit.is_(None),
        or_(
            tables.Discount.strategy_id.is_(None),
            tables.Discount.strategy_id == bindparam("strategy"),
        ),
    )
    .order_by(tables.Discount.id)
)
NEXT_VERSIONS: Final = select(tables.Tariff.series_id, tables.Tariff.valid_from).where(
    tables.Tariff.operator_id == bindparam("operator"),
    tables.Tariff.valid_from > bindparam("at"),
    tables.Tariff.withdrawn_at.is_(None),
)


class Knowing(NamedTuple):
    """What of an operator decides, but for where its stations are."""

    operator_id: UUID
    at: datetime
    time_zone: ZoneInfo
    default: Strategy | None
    own: tables.Tariff | None
    free: bool  # by the default strategy
    offers: Sequence[tuple[str | None, Offer]]  # by currency; None: any
    upcoming: dict[UUID, list[datetime]]  # of each series, when its later versions begin
    own_upcoming: list[datetime]


async def follow(connections: Connections) -> None:
    while True:
        await look(connections)
        await asyncio.sleep(LOOK_EVERY_S)


async def look(connections: Connections) -> None:
    """At each operator whose stations may have to show another price."""
    async with connections.begin(PLATFORM) as db:
        asked = {"now": clock.now(), "most": OPERATORS_AT_ONCE}
        operators = list(await db.scalars(WANTED, asked))
    for operator_id in operators:
        try:
            async with connections.begin(operator_id) as db:
                await look_at(db, UUID(str(operator_id)), clock.now())
        except Exception:
            # The others' stations show the right price all the same; this one's turn comes again.
            FAILED.inc()
            log.exception("the prices that the stations of %s show are not known", operator_id)


async def look_at(db: AsyncSession, operator_id: UUID, at: datetime) -> None:
    of = {"operator": operator_id}
    version = await db.scalar(BEGIN, of | {"now": at})
    await db.execute(FORGET, of)  # before all is read: what is noted meanwhile stays
    knowing = await _know(db, operator_id, at)
    changed: dict[str, tuple[DisplayPrice | None, list[str]]] = {}
    named: dict[UUID, tables.Tariff | None] = {}
    made: dict[tuple[UUID, tuple[Modifier, ...], ZoneInfo, int | None], DisplayPrice] = {}
    later = (one for begin in knowing.upcoming.values() for one in begin)
    due = min([at + LATEST, _midnight(knowing), *later])
    for row in (await db.execute(STATIONS, of)).all():
        names = names_of(row.station_id, row.location_id, row.group_ids)
        tariff, price = await _tariff(db, knowing, names, named), None
        if tariff is not None:
            zone = ZoneInfo(row.time_zone) if row.time_zone else knowing.time_zone
            found = _modifiers(knowing, names, zone, tariff.currency)
            key = tariff.id, found, zone, row.power_w
            price = made.get(key)
            if price is None:
                price = made[key] = _price(knowing, tariff, found, zone, row.power_w)
            due = min(due, price.valid_until or due)
        if not row.known or not _same(price, row.shown):
            text_of = price.model_dump_json() if price else "null"
            changed.setdefault(text_of, (price, []))[1].append(row.station_id)
    for text_of, (price, station_ids) in changed.items():
        values = of | {"version": version, "shown": text_of, "ids": station_ids}
        await db.execute(SHOW, values)
        await outbox.emit(db, *_events(operator_id, version, price, station_ids))
    await db.execute(DUE, of | {"due": due})


def _events(
    operator_id: UUID, version: int, price: DisplayPrice | None, station_ids: list[str]
) -> Iterable[DisplayPricesChanged]:
    for start in range(0, len(station_ids), STATIONS_AN_EVENT):
        yield DisplayPricesChanged(
            operator_id=operator_id,
            version=version,
            station_ids=tuple(station_ids[start : start + STATIONS_AN_EVENT]),
            price=price,
        )


async def _know(db: AsyncSession, operator_id: UUID, at: datetime) -> Knowing:
    operator = await db.get(tables.Operator, operator_id)
    row = await db.scalar(DEFAULT, {"operator": operator_id})
    default = strategy_of(row) if row is not None and row.active else None
    asked = {"operator": operator_id, "at": at}
    offers = await db.scalars(OFFERS, asked | {"strategy": default.id if default else None})
    upcoming: dict[UUID, list[datetime]] = defaultdict(list)
    for series_id, valid_from in await db.execute(NEXT_VERSIONS, asked):
        upcoming[series_id].append(valid_from)
    own = await db.scalar(tariffs.VALID, {"operator_id": operator_id, "at": at})
    first = select(func.min(tables.Tariff.valid_from)).where(
        tables.Tariff.operator_id == operator_id,
        tables.Tariff.agreed_only.is_(False),
        tables.Tariff.withdrawn_at.is_(None),
        tables.Tariff.valid_from > at,
    )
    soon = await db.scalar(first)
    return Knowing(
        operator_id,
        at,
        ZoneInfo(operator.time_zone if operator else DEFAULT_TIME_ZONE),
        default,
        own,
        default is not None and default.method == "free",
        [(one.currency, offer_of(one)) for one in offers],
        upcoming,
        [soon] if soon else [],
    )


async def _tariff(
    db: AsyncSession,
    knowing: Knowing,
    names: Names,
    known: dict[UUID, tables.Tariff | None],
) -> tables.Tariff | None:
    """As a session of nobody would have it."""
    day = knowing.at.astimezone(knowing.time_zone).date()
    entry = chosen(knowing.default.entries, names, day) if knowing.default else None
    if entry is None or entry.tariff_id is None:
        return knowing.own
    if entry.tariff_id not in known:
        known[entry.tariff_id] = await tariffs.find_of_series(
            db, knowing.operator_id, entry.tariff_id, knowing.at
        )
    return known[entry.tariff_id] or knowing.own


def _price(
    knowing: Knowing,
    tariff: tables.Tariff,
    modifiers: tuple[Modifier, ...],
    zone: ZoneInfo,
    power_w: int | None,
) -> DisplayPrice:
    priced = costs.tariff_of(tariff)
    shown = shown_at(priced, modifiers, knowing.at, zone, power_w)
    free = knowing.free or price_words.costs_nothing(priced)
    rates = {one.vat_percent for element in priced.elements for one in element.components}
    others = [*knowing.upcoming.get(tariff.series_id, ()), *knowing.own_upcoming]
    return DisplayPrice(
        tariff_id=tariff.id,
        currency=tariff.currency,
        tax_included=tariff.tax_included,
        vat_percent=rates.pop() if len(rates) == 1 else None,
        energy_price=shown.energy,
        time_price=a_minute(shown.time),
        start_fee=shown.session,
        free_of_charge=free,
        lines=price_words.lines(priced, () if free else modifiers, zone, free=free),
        valid_from=knowing.at,
        valid_until=next_change(priced, modifiers, knowing.at, zone, others, power_w),
    )


def _modifiers(
    knowing: Knowing, names: Names, zone: ZoneInfo, currency: str
) -> tuple[Modifier, ...]:
    """As discounts.finding has them for somebody whom nobody knows."""
    if knowing.default is not None and knowing.free:
        return (free_modifier(knowing.default),)
    now = Situation(frozenset(), where_names(names), knowing.at, zone, None)
    return tuple(
        modifier_of(offer, now, None)
        for of_currency, offer in knowing.offers
        if of_currency in {None, currency} and meant(offer, now)
    )


def _same(price: DisplayPrice | None, shown: dict[str, Any] | None) -> bool:
    """Whether the station shows it already, since whenever."""
    before = DisplayPrice.model_validate(shown) if shown else None
    if price is None or before is None:
        return price is before
    return price == before.model_copy(update={"valid_from": price.valid_from})


def _midnight(knowing: Knowing) -> datetime:
    """The next of the operator's, when what is dated begins or ends."""
    tomorrow = knowing.at.astimezone(knowing.time_zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), knowing.time_zone)
