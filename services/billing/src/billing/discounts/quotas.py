"""Quotas: what there is of a discount only once is never given twice.

A number of sessions is reserved when one begins, by one conditional update. Energy, time and money
are taken when its record is made: `held` locks the counters and says what is left, the record is
priced with that, `draw` takes it, all in one transaction. Each move is a row of its own, the only
one with its discount and cause, so what comes again takes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing import costs, rating, tables, terms
from billing.discounts.applying import NOBODY, QuotaPer, QuotaUnit, Size, counter_of
from billing.rating.model import Modifier
from common.ids import uuid7

# Of what a quota is said in, so many of what it is reckoned in: Wh, seconds, money, sessions.
RECKONED: Final[Mapping[str, int]] = {"kwh": 1000, "minutes": 60, "amount": 1, "sessions": 1}
ZERO: Final = Decimal(0)

Key = tuple[UUID, str]  # whose, and of which month


@dataclass(frozen=True, slots=True)
class Used:
    """What a discount did to the price of a session.

    amount: taken off, as the tariff's prices are, net or gross. quantity: of its quota, Wh, seconds
    or money; 0 without one.
    """

    discount_id: UUID
    amount: Decimal
    quantity: Decimal = ZERO


class Held(NamedTuple):
    """Modifiers as a session can have them now, and what there is to know of their quotas.

    keys: of what is counted. reserved: of numbers of sessions, by this one.
    """

    modifiers: tuple[Modifier, ...]
    sizes: Mapping[UUID, Size | None]
    keys: Mapping[UUID, Key] = MappingProxyType({})
    reserved: Mapping[UUID, Decimal] = MappingProxyType({})


USED: Final = text("""
select u.discount_id, u.used from quota_use u
join unnest(cast(:discounts as uuid[]), cast(:subjects as uuid[]), cast(:months as text[]))
    as asked (discount_id, subject, month) using (discount_id, subject, month)
""")
# The update changes nothing: it locks the rows, in one order so that two cannot wait for each
# other, and reads what was committed meanwhile.
LOCK: Final = text("""
insert into quota_use (discount_id, subject, month, operator_id, size, used)
select discount_id, subject, month, :operator, size, 0
from unnest(cast(:discounts as uuid[]), cast(:subjects as uuid[]), cast(:months as text[]),
    cast(:sizes as numeric[])) as asked (discount_id, subject, month, size)
order by discount_id
on conflict (discount_id, subject, month) do update set used = quota_use.used
returning discount_id, size - used as left
""")
RESERVED: Final = text("""
select discount_id, sum(quantity) as quantity from discount_grant
where session_id = :session group by discount_id
""")
_GRANT: Final = """
insert into discount_grant (id, discount_id, cause, operator_id, session_id, station_id, subject,
    month, quantity, amount, currency, granted_at)
"""
_VALUES: Final = """
select cast(:id as uuid), cast(:discount as uuid), cast(:cause as uuid), cast(:operator as uuid),
    cast(:session as uuid), cast(:station as text), cast(:subject as uuid), cast(:month as text),
    cast(:quantity as numeric), cast(:amount as numeric), cast(:currency as text), now()
"""
RESERVE: Final = text(f"""
with taken as (
    insert into quota_use (discount_id, subject, month, operator_id, size, used)
    values (:discount, :subject, :month, :operator, cast(:size as numeric), 1)
    on conflict (discount_id, subject, month) do update set used = quota_use.used + 1
    where quota_use.used + 1 <= quota_use.size
    returning 1
), granted as ({_GRANT} {_VALUES} from taken returning 1)
select count(*) from granted
""")  # noqa: S608 - constants of ours
# A quota of each session has no counter: then there is nothing to update.
TAKE: Final = text(f"""
with granted as (
    {_GRANT} {_VALUES} on conflict (discount_id, cause) do nothing returning 1
)
update quota_use set used = used + cast(:quantity as numeric)
where discount_id = :discount and subject = :subject and month = :month
    and exists (select from granted)
""")  # noqa: S608 - constants of ours
# One decision about a session at a time: two would both find the same to give back.
LOCK_SESSION: Final = text("select from session where id = :session for update")
GOT: Final = text("""
select discount_id, operator_id, station_id, subject, month, -sum(quantity) as quantity,
    -sum(amount) as amount, max(currency) as currency
from discount_grant where session_id = :session
group by discount_id, operator_id, station_id, subject, month
having sum(quantity) <> 0 or sum(amount) <> 0 order by discount_id
""")


def size_of(row: tables.Discount) -> Size | None:
    if row.quota_unit is None or row.quota_size is None or row.quota_per is None:
        return None
    size = row.quota_size * RECKONED[row.quota_unit]
    return Size(cast(QuotaUnit, row.quota_unit), size, cast(QuotaPer, row.quota_per))


async def used(db: AsyncSession, keys: Mapping[UUID, Key]) -> dict[UUID, Decimal]:
    """By discount, of the counters that there are; nothing is locked."""
    if not keys:
        return {}
    found = await db.execute(USED, _columns(keys))
    return {UUID(str(row.discount_id)): row.used for row in found}


async def reserve(db: AsyncSession, session: tables.Session) -> None:
    """Reserve one of each number of sessions in its terms; what is used up leaves its terms.

    Call it when the terms were just stored, in the same transaction. A refused card gets none.
    """
    kept = terms.from_json(session.terms)
    sizes = await _sizes(db, kept.modifiers)
    numbered = {key: size for key, size in sizes.items() if size and size.unit == "sessions"}
    if not numbered:
        return
    keys = await _keys(db, session, numbered)
    reserved = await _reserved(db, session.id)
    lost = set()
    for discount_id in sorted(numbered):
        if discount_id in reserved:
            continue
        values = _grant(session, discount_id, keys[discount_id], session.id, Decimal(1))
        values |= {"size": numbered[discount_id].size}
        accepted = session.token_status == rating.ACCEPTED
        if not accepted or not await db.scalar(RESERVE, values):
            lost.add(discount_id)
    if lost:
        await _leave_out(db, session, kept, lost)


async def _leave_out(
    db: AsyncSession, session: tables.Session, kept: terms.Terms, lost: set[UUID]
) -> None:
    left = tuple(one for one in kept.modifiers if one.id not in lost)
    changed = update(tables.Session).where(tables.Session.id == session.id)
    await db.scalar(
        changed.values(terms=terms.to_json(with_left(kept, left))).returning(tables.Session),
        execution_options={"populate_existing": True},
    )


def used_up(name: str) -> str:
    """Of a discount or an event; terms keep it."""
    return f"“{name}” does not apply: nothing is left of it."


def with_left(agreed: terms.Terms, left: Sequence[Modifier]) -> terms.Terms:
    """Terms with what is left of their modifiers; they say of each that is gone that it is."""
    there = {one.id for one in left}
    gone = (used_up(one.name) for one in agreed.modifiers if one.id not in there)
    return replace(agreed, modifiers=tuple(left), why=(*agreed.why, *gone))


async def held(db: AsyncSession, session: tables.Session, modifiers: Sequence[Modifier]) -> Held:
    """With what is left of their quotas now; nobody else takes of it until the transaction ends.

    What is used up is left out. Price the session with these, then draw.
    """
    sizes = await _sizes(db, modifiers)
    counted = {key: size for key, size in sizes.items() if size and size.counted}
    if not counted:
        return Held(tuple(modifiers), sizes)
    keys = await _keys(db, session, counted)
    left = await _lock(db, session, counted, keys)
    reserved = await _reserved(db, session.id)
    found = []
    for one in modifiers:
        size = counted.get(one.id)
        if size is None:
            found.append(one)
        elif size.unit == "sessions":
            if reserved.get(one.id, ZERO) > 0 or left[one.id] >= 1:
                found.append(one)
        elif left[one.id] > 0:
            assert one.quota is not None
            found.append(replace(one, quota=replace(one.quota, left=left[one.id])))
    return Held(tuple(found), sizes, keys, reserved)


async def as_left(db: AsyncSession, session: tables.Session) -> terms.Terms:
    """Terms of one that runs, with what is left of their quotas now; nothing is locked."""
    agreed = terms.from_json(session.terms)
    sizes = await _sizes(db, [one for one in agreed.modifiers if one.quota])
    counted = {key: size for key, size in sizes.items() if size and size.counted}
    if not counted:
        return agreed
    taken = await used(db, await _keys(db, session, counted))
    found = []
    for one in agreed.modifiers:
        size = counted.get(one.id)
        if size is None or one.quota is None:
            found.append(one)
        elif (left := size.size - taken.get(one.id, ZERO)) > 0:
            found.append(replace(one, quota=replace(one.quota, left=left)))
    return replace(agreed, modifiers=tuple(found))


async def draw(
    db: AsyncSession,
    session: tables.Session,
    record_id: UUID,
    currency: str,
    of: Held,
    effects: Iterable[Used],
) -> None:
    """Note what its record got, and take it off the quotas that it was priced with.

    One of a number of sessions that was reserved and changed nothing is given back. A record takes
    once, however often this is called.
    """
    told = {one.discount_id: one for one in effects}
    for discount_id, size in of.sizes.items():
        one = told.get(discount_id) or Used(discount_id, ZERO)
        quantity = one.quantity if size else ZERO
        if size and size.unit == "sessions":
            before = of.reserved.get(discount_id, ZERO) > 0
            quantity = Decimal(one.amount != 0) - Decimal(before)
        if quantity or one.amount:
            key = of.keys.get(discount_id, (NOBODY, ""))
            values = _grant(session, discount_id, key, record_id, quantity)
            await db.execute(TAKE, values | {"amount": one.amount, "currency": currency})


def effects_of(priced: rating.Priced) -> list[Used]:
    """What the price says that its modifiers did."""
    taken: dict[UUID, Decimal] = {}
    for line in priced.lines:
        if line.modifier_id is not None:
            taken[line.modifier_id] = taken.get(line.modifier_id, ZERO) - line.amount
    return [
        Used(discount_id, taken.get(discount_id, ZERO), priced.used.get(discount_id, ZERO))
        for discount_id in sorted(taken.keys() | priced.used.keys())
    ]


async def give_back(db: AsyncSession, session_id: UUID, cause: UUID) -> None:
    """All that a session got; once for each cause: the record that cancels it, or the decision
    that it is void.
    """
    await db.execute(LOCK_SESSION, {"session": session_id})
    for row in (await db.execute(GOT, {"session": session_id})).all():
        values = {
            "id": uuid7(), "discount": row.discount_id, "cause": cause, "session": session_id,
            "operator": row.operator_id, "station": row.station_id, "subject": row.subject,
            "month": row.month, "quantity": row.quantity, "amount": row.amount,
            "currency": row.currency,
        }  # fmt: skip
        await db.execute(TAKE, values)


async def _sizes(db: AsyncSession, modifiers: Sequence[Modifier]) -> dict[UUID, Size | None]:
    """Of those that are discounts or price events; None: it has no quota."""
    if not modifiers:
        return {}
    wanted = select(tables.Discount).where(tables.Discount.id.in_([one.id for one in modifiers]))
    return {row.id: size_of(row) for row in await db.scalars(wanted)}


async def _lock(
    db: AsyncSession,
    session: tables.Session,
    counted: Mapping[UUID, Size],
    keys: Mapping[UUID, Key],
) -> dict[UUID, Decimal]:
    """What is left of each, by discount."""
    values = _columns(keys) | {
        "operator": session.operator_id,
        "sizes": [counted[discount_id].size for discount_id in keys],
    }
    return {UUID(str(row.discount_id)): row.left for row in await db.execute(LOCK, values)}


async def _keys(
    db: AsyncSession, session: tables.Session, sizes: Mapping[UUID, Size]
) -> dict[UUID, Key]:
    [(_, zone)] = await db.execute(costs.TIME_ZONES, {"ids": [session.id]})
    clock = ZoneInfo(zone)
    subject = session.user_id or session.card_id
    return {
        discount_id: counter_of(size, subject, session.started_at, clock)
        for discount_id, size in sizes.items()
    }


def _columns(keys: Mapping[UUID, Key]) -> dict[str, Any]:
    return {
        "discounts": list(keys),
        "subjects": [subject for subject, _ in keys.values()],
        "months": [month for _, month in keys.values()],
    }


def _grant(
    session: tables.Session, discount_id: UUID, key: Key, cause: UUID, quantity: Decimal
) -> dict[str, Any]:
    return {
        "id": uuid7(), "discount": discount_id, "cause": cause, "operator": session.operator_id,
        "session": session.id, "station": session.station_id, "subject": key[0], "month": key[1],
        "quantity": quantity, "amount": ZERO, "currency": None,
    }  # fmt: skip


async def _reserved(db: AsyncSession, session_id: UUID) -> dict[UUID, Decimal]:
    """By discount; 0: given back."""
    found = await db.execute(RESERVED, {"session": session_id})
    return {UUID(str(row.discount_id)): row.quantity for row in found}
