"""What there is of a discount only once is never given twice."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from billing import tables, terms
from billing.discounts import quotas
from billing.discounts.quotas import Used
from billing.rating.model import Modifier, Quota
from common.authorize import Holder
from common.clock import now
from common.ids import uuid7
from services.billing.tests.conftest import Billing
from services.billing.tests.test_discounts import active, as_staff, found_by

MONTH_KWH = {"unit": "kwh", "size": "30", "per": "user_month"}
TOTAL_KWH = {"unit": "kwh", "size": "100", "per": "total"}
FREE: dict[str, Any] = {"kind": "free", "amount": "0"}


async def begun(billing: Billing, modifiers: tuple[Modifier, ...], **fields: Any) -> tables.Session:
    """A session whose terms have these, as reserve has left them."""
    start = billing.started(**({"started_at": now() + timedelta(minutes=1)} | fields))
    await billing.handle(start)
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        session: tables.Session = await db.get_one(tables.Session, start.session_id)
        kept = replace(terms.from_json(session.terms), modifiers=modifiers)
        changed = update(tables.Session).where(tables.Session.id == session.id)
        await db.execute(changed.values(terms=terms.to_json(kept)))
        await db.refresh(session)
        await quotas.reserve(db, session)
        return session


def modifiers_of(session: tables.Session) -> tuple[Modifier, ...]:
    return terms.from_json(session.terms).modifiers


async def closed(
    billing: Billing, session: tables.Session, wh: int, *, price: str = "0.49"
) -> tuple[UUID, Decimal]:
    """A record of so much energy, and what was free of it."""
    record_id = uuid7()
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        held = await quotas.held(db, session, modifiers_of(session))
        effects = []
        for one in held.modifiers:
            free = Decimal(wh) if one.quota is None else min(one.quota.left, Decimal(wh))
            if one.kind == "free":
                amount = free * Decimal(price) / 1000
                effects.append(Used(one.id, amount, free if one.quota else Decimal(0)))
        await quotas.draw(db, session, record_id, "EUR", held, effects)
    return record_id, sum((one.quantity or one.amount for one in effects), Decimal(0))


async def uses(billing: Billing, discount_id: str) -> dict[str, int]:
    """What is used by month; and the sums of the grants are the same."""
    found = await billing.stored(
        "select u.month, u.used, (select coalesce(sum(g.quantity), 0) from discount_grant g where "
        "g.discount_id = u.discount_id and g.subject = u.subject and g.month = u.month) as granted "
        "from quota_use u where u.discount_id = $1 order by u.month", UUID(discount_id),
    )  # fmt: skip
    for row in found:
        assert row["used"] == row["granted"]
    return {row["month"]: int(row["used"]) for row in found}


async def grants(billing: Billing, discount_id: str) -> list[tuple[str, str]]:
    """Quantity and amount, the oldest first, without zeros behind the point."""
    async with as_staff(billing) as staff:
        answer = await staff.get(f"/v1/discounts/{discount_id}/grants")
    assert answer.status_code == 200, answer.text
    return [
        (one["quantity"], f"{Decimal(one['amount']).normalize():f}")
        for one in reversed(answer.json()["items"])
    ]


async def test_of_fifty_sessions_at_once_as_many_get_one_as_there_are(billing: Billing) -> None:
    five = {"unit": "sessions", "size": "5", "per": "total"}
    one = await active(billing, quota=five)
    modifiers = await found_by(billing)
    assert modifiers[0].quota is None
    sessions = await asyncio.gather(*(begun(billing, modifiers) for _ in range(50)))
    got = [session for session in sessions if modifiers_of(session)]
    assert len(got) == 5
    lost = next(session for session in sessions if not modifiers_of(session))
    assert "nothing is left of it" in terms.from_json(lost.terms).why[-1]
    assert await uses(billing, one["id"]) == {"": 5}
    assert await found_by(billing) == ()


async def test_of_fifty_closed_at_once_none_gets_more_than_is_left(billing: Billing) -> None:
    one = await active(billing, **FREE, quota=TOTAL_KWH)
    modifiers = await found_by(billing)
    assert modifiers[0].quota == Quota("wh", Decimal(100_000))
    sessions = await asyncio.gather(*(begun(billing, modifiers) for _ in range(50)))
    given = await asyncio.gather(*(closed(billing, session, 7000) for session in sessions))
    amounts = sorted(free for _, free in given)
    assert sum(amounts) == 100_000
    assert amounts[35:] == [2000] + [7000] * 14
    assert await uses(billing, one["id"]) == {"": 100_000}


async def test_a_reservation_is_given_back_if_the_session_turns_out_free(billing: Billing) -> None:
    one = await active(billing, **FREE, quota={"unit": "sessions", "size": "1", "per": "total"})
    modifiers = await found_by(billing)
    first = await begun(billing, modifiers)
    second = await begun(billing, modifiers)
    assert modifiers_of(first) and not modifiers_of(second)
    await closed(billing, first, 0)
    assert await uses(billing, one["id"]) == {"": 0}
    third = await begun(billing, await found_by(billing))
    assert modifiers_of(third)
    await closed(billing, third, 10_000)
    assert await grants(billing, one["id"]) == [("1", "0"), ("-1", "0"), ("1", "0"), ("0", "4.9")]
    assert await uses(billing, one["id"]) == {"": 1}


async def test_a_repeat_reserves_and_takes_nothing_twice(billing: Billing) -> None:
    one = await active(billing, quota={"unit": "sessions", "size": "9", "per": "total"})
    two = await active(billing, **FREE, quota=TOTAL_KWH)
    session = await begun(billing, await found_by(billing))
    assert len(modifiers_of(session)) == 2
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        await quotas.reserve(db, session)
    effects = [Used(UUID(one["id"]), Decimal(1)), Used(UUID(two["id"]), Decimal(2), Decimal(3000))]
    record_id = uuid7()
    for _ in range(2):
        async with billing.app.state.connections.begin(billing.operator_id) as db:
            held = await quotas.held(db, session, modifiers_of(session))
            await quotas.draw(db, session, record_id, "EUR", held, effects)
    assert await uses(billing, one["id"]) == {"": 1}
    assert await uses(billing, two["id"]) == {"": 3000}
    assert await grants(billing, two["id"]) == [("3000", "2")]


async def test_a_refused_card_gets_none_of_a_number(billing: Billing) -> None:
    one = await active(billing, quota={"unit": "sessions", "size": "9", "per": "total"})
    refused = await begun(billing, await found_by(billing), token_status="Invalid")
    assert modifiers_of(refused) == ()
    assert await uses(billing, one["id"]) == {}


async def test_each_user_has_a_quota_a_month_by_the_operators_clock(billing: Billing) -> None:
    one = await active(billing, **FREE, quota=MONTH_KWH)
    user, other = uuid7(), uuid7()
    year = now().year + 1
    # 30 June, 23:30 in Berlin; and an hour later.
    june = datetime(year, 6, 30, 21, 30, tzinfo=UTC)
    assert await found_by(billing, at=june) == ()  # nobody knows whose it would be
    for at, user_id, free in (
        (june, user, 20_000), (june, user, 10_000), (june + timedelta(hours=1), user, 20_000),
        (june, other, 20_000),
    ):  # fmt: skip
        session = await begun(
            billing, await found_by(billing, at=at, user_id=user_id), user_id=user_id, started_at=at
        )
        assert (await closed(billing, session, 20_000))[1] == free, (at, user_id)
    assert await found_by(billing, at=june, user_id=user) == ()
    [left] = await found_by(billing, at=june, user_id=other)
    assert left.quota == Quota("wh", Decimal(10_000))
    used = await billing.stored(
        "select subject, month, used from quota_use where discount_id = $1", UUID(one["id"])
    )
    assert sorted((row["month"], row["subject"] == user, int(row["used"])) for row in used) == [
        (f"{year}-06", False, 20_000), (f"{year}-06", True, 30_000), (f"{year}-07", True, 20_000),
    ]  # fmt: skip


async def test_a_card_without_a_user_has_a_quota_of_its_own(billing: Billing) -> None:
    await active(billing, **FREE, quota=MONTH_KWH)
    card = uuid7()
    at = now() + timedelta(minutes=1)  # of one month, whenever it is
    found = await found_by(billing, at=at, card_id=card)
    session = await begun(billing, found, card_id=card, started_at=at)
    await closed(billing, session, 30_000)
    assert await found_by(billing, at=at, card_id=card) == ()
    assert len(await found_by(billing, at=at, card_id=uuid7())) == 1


async def test_a_quota_of_each_session_is_there_for_each(billing: Billing) -> None:
    one = await active(billing, **FREE, quota={"unit": "kwh", "size": "5", "per": "session"})
    for _ in range(2):
        session = await begun(billing, await found_by(billing))
        assert (await closed(billing, session, 20_000))[1] == 5000
    assert await uses(billing, one["id"]) == {}
    assert await grants(billing, one["id"]) == [("5000", "2.45"), ("5000", "2.45")]


async def test_what_was_cancelled_is_there_again_once(billing: Billing) -> None:
    numbered = await active(billing, quota={"unit": "sessions", "size": "1", "per": "total"})
    energy = await active(billing, **FREE, quota=TOTAL_KWH)
    session = await begun(billing, await found_by(billing))
    effects = [
        Used(UUID(numbered["id"]), Decimal(1)),
        Used(UUID(energy["id"]), Decimal(49), Decimal(100_000)),
    ]
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        held = await quotas.held(db, session, modifiers_of(session))
        await quotas.draw(db, session, uuid7(), "EUR", held, effects)
    assert await found_by(billing) == ()
    cancellation, correction = uuid7(), uuid7()
    for _ in range(2):
        async with billing.app.state.connections.begin(billing.operator_id) as db:
            await quotas.give_back(db, session.id, cancellation)
            held = await quotas.held(db, session, modifiers_of(session))
            assert len(held.modifiers) == 2
    assert (await uses(billing, numbered["id"]), await uses(billing, energy["id"])) == (
        {"": 0}, {"": 0},
    )  # fmt: skip
    effects[1] = Used(UUID(energy["id"]), Decimal("24.5"), Decimal(50_000))
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        held = await quotas.held(db, session, modifiers_of(session))
        await quotas.draw(db, session, correction, "EUR", held, effects)
    assert (await uses(billing, numbered["id"]), await uses(billing, energy["id"])) == (
        {"": 1}, {"": 50_000},
    )  # fmt: skip
    assert await grants(billing, energy["id"]) == [
        ("100000", "49"), ("-100000", "-49"), ("50000", "24.5"),
    ]  # fmt: skip


async def test_a_number_that_others_took_meanwhile_is_not_there_for_a_correction(
    billing: Billing,
) -> None:
    await active(billing, quota={"unit": "sessions", "size": "1", "per": "total"})
    session = await begun(billing, await found_by(billing))
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        await quotas.give_back(db, session.id, uuid7())
    assert modifiers_of(await begun(billing, await found_by(billing)))
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        assert (await quotas.held(db, session, modifiers_of(session))).modifiers == ()


async def test_a_discount_of_a_strategy_itself_is_no_ones_grant(billing: Billing) -> None:
    """What is free by its strategy has a modifier that is no discount."""
    free = Modifier(id=uuid7(), name="free", scope="user", kind="free")
    session = await begun(billing, (free,))
    assert modifiers_of(session) == (free,)
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        held = await quotas.held(db, session, (free,))
        assert held.modifiers == (free,)
        await quotas.draw(db, session, uuid7(), "EUR", held, [Used(free.id, Decimal(5))])
    assert (
        await billing.stored("select 1 from discount_grant where discount_id = $1", free.id) == []
    )


async def test_the_database_itself_lets_nobody_over_a_quota_or_change_a_grant(
    billing: Billing,
) -> None:
    one = await active(billing, **FREE, quota=TOTAL_KWH)
    session = await begun(billing, await found_by(billing))
    await closed(billing, session, 60_000)
    much = [Used(UUID(one["id"]), Decimal(1), Decimal(60_000))]
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        held = await quotas.held(db, session, modifiers_of(session))
        with pytest.raises(IntegrityError, match="within_size"):
            await quotas.draw(db, session, uuid7(), "EUR", held, much)
        await db.rollback()
    assert await uses(billing, one["id"]) == {"": 60_000}
    url = str(billing.app.state.parts.settings.database_url)
    settings = {"search_path": "billing", "role": "csms_billing", "csms.operator": "*"}
    db = await asyncpg.connect(url, server_settings=settings)
    for statement in ("update discount_grant set amount = 0", "delete from discount_grant"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.execute(statement)
    await db.close()


async def test_a_start_and_its_end_by_events_reserve_once(billing: Billing) -> None:
    await billing.tariff()
    one = await active(billing, quota={"unit": "sessions", "size": "3", "per": "total"})
    session = await begun(billing, await found_by(billing))
    same: dict[str, Any] = {"session_id": session.id, "started_at": session.started_at}
    await billing.handle(billing.started(**same), billing.started(**same))
    ended = {"ended_at": session.started_at + timedelta(hours=1)}
    end = billing.ended(**same | ended, holder=Holder())
    await billing.handle(end, end.model_copy(update={"id": uuid7()}))
    record = await billing.record(session.id)
    assert record and record["total_gross"]["amount"] == "4.41"
    [line] = [line for line in record["lines"] if line["modifier_id"]]
    assert (line["modifier_id"], Decimal(line["amount"])) == (one["id"], Decimal("-0.49"))
    assert await grants(billing, one["id"]) == [("1", "0"), ("0", "0.49")]
    assert await uses(billing, one["id"]) == {"": 1}
