"""Which discounts and price events a session gets that begins now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, Text, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.discounts import quotas
from billing.discounts.applying import (
    DAYS,
    Form,
    Kind,
    Offer,
    Situation,
    counter_of,
    meant,
    modifier_of,
    where_names,
    who_names,
)
from billing.rating.model import Dimension, Modifier
from common.authorize import Holder
from common.places import Names

# What has begun and ends later, by names: an operator may have one for each of thousands.
CANDIDATES: Final = (
    select(tables.Discount)
    .where(
        tables.Discount.operator_id == bindparam("operator"),
        tables.Discount.activated_at <= bindparam("at"),
        or_(tables.Discount.ends_at.is_(None), tables.Discount.ends_at > bindparam("at")),
        or_(
            tables.Discount.strategy_id.is_(None),
            tables.Discount.strategy_id == bindparam("strategy"),
        ),
        or_(tables.Discount.currency.is_(None), tables.Discount.currency == bindparam("currency")),
        or_(
            func.cardinality(tables.Discount.people) == 0,
            tables.Discount.people.overlap(bindparam("who", type_=ARRAY(Text))),
        ),
        tables.Discount.places.overlap(bindparam("where", type_=ARRAY(Text))),
    )
    .order_by(tables.Discount.id)
)


# What is said in local time is by the clock of the place, as costs.TIME_ZONES has it.
OF_PLACE: Final = (
    select(tables.Location.time_zone)
    .join(tables.Station, tables.Station.location_id == tables.Location.location_id)
    .where(
        tables.Station.operator_id == bindparam("operator"),
        tables.Station.station_id == bindparam("station"),
    )
)


class Asked(Protocol):
    """What of a session, or of a question about one, decides."""

    @property
    def operator_id(self) -> UUID: ...
    @property
    def station_id(self) -> str: ...
    @property
    def card_id(self) -> UUID | None: ...
    @property
    def user_id(self) -> UUID | None: ...
    @property
    def holder(self) -> Holder | None: ...
    @property
    def at(self) -> datetime: ...


class Found(NamedTuple):
    """What a session has, and a sentence on each that it would have if anything were left of it."""

    modifiers: tuple[Modifier, ...] = ()
    why: tuple[str, ...] = ()


async def applicable(
    db: AsyncSession,
    asked: Asked,
    *,
    names: Names,
    time_zone: str,
    strategy_id: UUID | None,
    currency: str,
) -> Found:
    """As its terms keep them. What is used up is left out, nothing is reserved: see quotas.

    names: under which the station may be meant. time_zone: the operator's, for a place that has
    none. currency: the tariff's; what takes off another's amounts does not apply.
    """
    groups = asked.holder.user_group_ids if asked.holder else ()
    who, where = who_names(asked.user_id, groups), where_names(names)
    values = {
        "operator": asked.operator_id,
        "at": asked.at,
        "strategy": strategy_id,
        "currency": currency,
        "who": sorted(who),
        "where": sorted(where),
    }
    rows = (await db.scalars(CANDIDATES, values)).all()
    if not rows:
        return Found()
    place = {"operator": asked.operator_id, "station": asked.station_id}
    zone = ZoneInfo(await db.scalar(OF_PLACE, place) or time_zone)
    now = Situation(who, where, asked.at, zone, asked.user_id or asked.card_id)
    return await _modifiers(db, [offer_of(row) for row in rows], now)


async def _modifiers(db: AsyncSession, offers: Sequence[Offer], now: Situation) -> Found:
    found = [offer for offer in offers if meant(offer, now)]
    sizes = {offer.id: offer.quota for offer in found if offer.quota and offer.quota.counted}
    keys = {
        offer_id: counter_of(size, now.subject, now.at, now.zone)
        for offer_id, size in sizes.items()
    }
    used = await quotas.used(db, keys)
    left = {offer_id: size.size - used.get(offer_id, 0) for offer_id, size in sizes.items()}
    there = [offer for offer in found if left.get(offer.id, 1) > 0]
    return Found(
        tuple(
            modifier_of(offer, now, left.get(offer.id, offer.quota.size if offer.quota else None))
            for offer in there
        ),
        tuple(quotas.used_up(offer.name) for offer in found if offer not in there),
    )


def offer_of(row: tables.Discount) -> Offer:
    return Offer(
        id=row.id,
        form=cast(Form, row.form),
        name=row.name,
        people=frozenset(row.people),
        places=frozenset(row.places),
        kind=cast(Kind, row.kind),
        amount=row.amount,
        components=frozenset(cast(list[Dimension], row.components)),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        weekdays=frozenset(DAYS.index(day) for day in row.weekdays) if row.weekdays else None,
        start_minute=_minute(row.time_from),
        end_minute=_minute(row.time_until),
        exclusive=row.exclusive,
        priority=row.priority,
        quota=quotas.size_of(row),
        active_from=row.activated_at,
        active_until=row.ends_at,
    )


def _minute(clock: str | None) -> int | None:
    if clock is None:
        return None
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
