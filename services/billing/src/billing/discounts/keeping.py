"""What discounts and price events share: their rows, and what is refused of them.

A draft is written and rewritten; once it is active nothing of it changes but that it ends earlier,
so what a session was promised can be read years later. A change is a new one.
"""

from datetime import UTC
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Response
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.discounts.applying import Form
from billing.discounts.shapes import EndIn, OfferIn, State, columns_of, out_fields
from billing.operators import DEFAULT_TIME_ZONE
from billing.places import check_places
from billing.pricing.assignments import UnknownHolder
from billing.pricing.strategies import known_strategy
from common import single, versions
from common.auth import Principal
from common.clock import now
from common.paging import Page, rows
from common.problems import NotFound, Problem


class DiscountNotADraft(Problem):
    status = 409
    title = "What is active is not changed any more"


class DiscountNotActive(Problem):
    status = 409
    title = "Only what is active can be ended"


class DiscountEndsInThePast(Problem):
    status = 422
    title = "It would end in the past"


class DiscountEndsLater(Problem):
    status = 422
    title = "It ends before that already"


class DiscountInAnotherCurrency(Problem):
    status = 422
    title = "The discount is in another currency than its strategy"


class DiscountsOfEveryLocation(Problem):
    status = 403
    title = "Discounts and price events are made by staff who see every location"


def state_of(row: tables.Discount, time_zone: str) -> State:
    at = now()
    if row.activated_at is None:
        return "draft"
    if row.ends_at is not None and row.ends_at <= at:
        return "ended"
    local = at.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None)
    return "ended" if row.valid_until is not None and row.valid_until <= local else "active"


def in_state(state: State, time_zone: str) -> ColumnElement[bool]:
    table = tables.Discount
    if state == "draft":
        return table.activated_at.is_(None)
    local = now().astimezone(ZoneInfo(time_zone)).replace(tzinfo=None)
    over = or_(
        func.coalesce(table.ends_at <= now(), False),
        func.coalesce(table.valid_until <= local, False),
    )
    return and_(table.activated_at.is_not(None), over if state == "ended" else ~over)


async def zone_of(db: AsyncSession, operator_id: UUID | None) -> str:
    zone = select(tables.Operator.time_zone).where(tables.Operator.operator_id == operator_id)
    return await db.scalar(zone) or DEFAULT_TIME_ZONE


async def get(db: AsyncSession, form: Form, offer_id: UUID) -> tables.Discount:
    """Raises NotFound, for one of the other form too."""
    row = await db.get(tables.Discount, offer_id)
    if row is None or row.form != form:
        raise NotFound(f"there is no {form.replace('_', ' ')} with the id {offer_id}")
    return row


async def found(
    db: AsyncSession,
    form: Form,
    caller: Principal,
    state: State | None,
    conditions: list[ColumnElement[bool]],
    limit: int,
    cursor: str | None,
) -> Page[dict[str, Any]]:
    """A page of out_fields, the newest first."""
    table = tables.Discount
    zone = await zone_of(db, caller.operator_id)
    query = select(table).where(table.form == form, *conditions)
    if caller.operator_id is not None:
        query = query.where(table.operator_id == caller.operator_id)
    if state is not None:
        query = query.where(in_state(state, zone))
    page, after = await rows(db, query, table.id, limit=limit, cursor=cursor, newest_first=True)
    return Page(items=[out_fields(row, state_of(row, zone)) for row in page], next_cursor=after)


async def shown(db: AsyncSession, response: Response, row: tables.Discount) -> dict[str, Any]:
    zone = await zone_of(db, row.operator_id)
    return out_fields(single.tagged(response, row), state_of(row, zone))


async def make(db: AsyncSession, form: Form, caller: Principal, body: OfferIn) -> tables.Discount:
    of_every_location(caller)
    operator_id = caller.tenant()
    await _check(db, operator_id, body)
    values = {"strategy_id": None} | columns_of(body)
    row = tables.Discount(operator_id=operator_id, form=form, **values)
    db.add(row)
    await db.flush()
    return row


async def rewrite(
    db: AsyncSession,
    form: Form,
    caller: Principal,
    offer_id: UUID,
    expected: frozenset[int] | None,
    body: OfferIn,
) -> tables.Discount:
    row = await _draft(db, form, caller, offer_id, expected)
    await _check(db, row.operator_id, body)
    for name, value in columns_of(body).items():
        setattr(row, name, value)
    return await _next_version(db, row)


async def remove(
    db: AsyncSession, form: Form, caller: Principal, offer_id: UUID, expected: frozenset[int] | None
) -> None:
    await db.delete(await _draft(db, form, caller, offer_id, expected))


async def activate(
    db: AsyncSession, form: Form, caller: Principal, offer_id: UUID, expected: frozenset[int] | None
) -> tables.Discount:
    row = await _draft(db, form, caller, offer_id, expected)
    row.activated_at = now()
    if state_of(row, await zone_of(db, row.operator_id)) == "ended":
        raise DiscountEndsInThePast(f"at {row.valid_until} by the clock of the place")
    return await _next_version(db, row)


async def end(
    db: AsyncSession,
    form: Form,
    caller: Principal,
    offer_id: UUID,
    expected: frozenset[int] | None,
    body: EndIn,
) -> tables.Discount:
    """Sessions that run keep what they began with."""
    row = await _locked(db, form, caller, offer_id, expected)
    zone = await zone_of(db, row.operator_id)
    if (state := state_of(row, zone)) != "active":
        raise DiscountNotActive(f"it is {'a draft: delete it' if state == 'draft' else 'ended'}")
    moment = now()
    at = body.at or moment
    if at < moment:
        raise DiscountEndsInThePast("sessions since then have it; leave it out to end it now")
    ends = [row.ends_at] if row.ends_at else []
    if row.valid_until is not None:
        ends.append(row.valid_until.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC))
    if ends and at > min(ends):
        raise DiscountEndsLater(f"at {min(ends).isoformat()}")
    row.ends_at = at
    return await _next_version(db, row)


async def _next_version(db: AsyncSession, row: tables.Discount) -> tables.Discount:
    row.version += 1
    await db.flush()
    return row


async def _locked(
    db: AsyncSession, form: Form, caller: Principal, offer_id: UUID, expected: frozenset[int] | None
) -> tables.Discount:
    """Raises NotFound, VersionChanged."""
    of_every_location(caller)
    row = await get(db, form, offer_id)
    await db.refresh(row, with_for_update=True)
    versions.require(expected, row.version)
    return row


async def _draft(
    db: AsyncSession, form: Form, caller: Principal, offer_id: UUID, expected: frozenset[int] | None
) -> tables.Discount:
    row = await _locked(db, form, caller, offer_id, expected)
    if row.activated_at is not None:
        raise DiscountNotADraft("end it and make another")
    return row


def of_every_location(caller: Principal) -> None:
    """Raises DiscountsOfEveryLocation."""
    if caller.locations is not None:
        raise DiscountsOfEveryLocation("ask an admin")


async def _check(db: AsyncSession, operator_id: UUID, body: OfferIn) -> None:
    """Raises UnknownStation, UnknownLocation, UnknownHolder, UnknownStrategy,
    DiscountInAnotherCurrency.
    """
    await check_places(db, operator_id, body.places)
    person, group = tables.Person, tables.UserGroup
    there = {
        "user": select(person.user_id).where(person.operator_id == operator_id),
        "user_group": select(group.group_id).where(
            group.operator_id == operator_id, ~group.deleted
        ),
    }
    keys = {"user": person.user_id, "user_group": group.group_id}
    for kind, query in there.items():
        named = {one.id for one in body.people if one.kind == kind}
        known = await db.scalars(query.where(keys[kind].in_(named))) if named else ()
        if unknown := named - set(known):
            raise UnknownHolder(f"no {kind.replace('_', ' ')} has the id {min(unknown)}")
    strategy_id = getattr(body, "strategy_id", None)  # a price event has none
    if strategy_id is not None:
        strategy = await known_strategy(db, operator_id, strategy_id)
        if body.currency not in (None, strategy.currency):
            raise DiscountInAnotherCurrency(f"{strategy.name!r} is in {strategy.currency}")
