"""Holds: never more than there is, however many want it at the same moment."""

import asyncio
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from stack import eventually

from billing.ledger import Amount, Entry, Own, holds, post
from common.clock import now
from common.ids import uuid7

from .booking import BANK, WALLET, balance, booked, booking, opened, top_up, wide
from .conftest import Billing

IN_DAYS = now() + timedelta(days=3)
HUNDRED = Decimal(100)


async def held(billing: Billing, account: UUID, amount: str, key: str) -> bool:
    async with booking(billing) as db:
        return await holds.place(db, billing.operator_id, account, key, Decimal(amount), IN_DAYS)


async def test_of_20_holds_of_25_on_100_at_the_same_time_exactly_4_pass(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "100"))
    made, connections = wide(billing, 20)
    ready = asyncio.Barrier(20)

    async def one(number: int) -> bool:
        async with connections.begin(billing.operator_id) as db:
            await ready.wait()
            return await holds.place(
                db, billing.operator_id, account, f"h{number}", Decimal(25), IN_DAYS
            )

    passed = await asyncio.gather(*(one(number) for number in range(20)))
    await made.dispose()
    assert Counter(passed) == {True: 4, False: 16}
    assert await balance(billing, account) == (100, 0, 100)
    query = "select count(*) as n from hold where account_id = $1"
    assert await billing.stored(query, account) == [{"n": 4}]


async def test_50_sessions_at_once_on_one_account_hold_extend_and_settle_to_the_cent(
    billing: Billing,
) -> None:
    """Each holds, extends in steps, is charged and lets go, while others do the same."""
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "200"))
    made, connections = wide(billing, 50)
    ready = asyncio.Barrier(50)

    async def charge(number: int) -> Decimal:
        session_id = uuid7()
        key = holds.key_of(session_id)
        async with connections.begin(billing.operator_id) as db:
            await ready.wait()
            sum_ = await holds.begin(
                db, billing.operator_id, account, session_id, Decimal(2), IN_DAYS
            )
        for upto in range(3, 13):
            async with connections.begin(billing.operator_id) as db:
                more = await holds.extend(db, billing.operator_id, key, Decimal(upto), IN_DAYS)
            assert more is not None and sum_ is not None and sum_ <= more <= upto
            sum_ = more
        assert sum_ is not None
        cost = min(sum_, Decimal(number) / 10)
        amounts = (Amount(account, -cost), Amount(Own("revenue"), cost))
        entry = Entry(f"record:{session_id}", "record", now(), "EUR", amounts)
        async with connections.begin(billing.operator_id) as db:
            await post(db, billing.operator_id, entry)
            assert await holds.end(db, billing.operator_id, key, "settled") == sum_
        return cost

    costs = await asyncio.gather(*(charge(number) for number in range(1, 51)))
    await made.dispose()
    assert await balance(billing, account) == (200 - sum(costs), 0, 0)
    query = "select sum(amount) as n from posting where account_id = $1"
    assert await billing.stored(query, account) == [{"n": 200 - sum(costs)}]


async def test_who_has_the_balance_can_end_a_hold_that_another_is_about_to_extend(
    billing: Billing,
) -> None:
    """As the end of a session does while its last readings are rated."""
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "100"))
    assert await held(billing, account, "5", "k")
    made, connections = wide(billing, 2)

    async def extend() -> Decimal | None:
        async with connections.begin(billing.operator_id) as db:
            return await holds.extend(db, billing.operator_id, "k", Decimal(6), IN_DAYS)

    async def waits() -> bool:
        query = "select from pg_stat_activity where datname = current_database() "
        return bool(await billing.stored(query + "and wait_event_type = 'Lock'"))

    async with connections.begin(billing.operator_id) as db:
        await post(db, billing.operator_id, top_up(account, "1"))
        extending = asyncio.create_task(extend())
        await eventually(waits)
        assert await holds.end(db, billing.operator_id, "k", "settled") == 5
    assert await extending is None
    await made.dispose()
    assert await balance(billing, account) == (101, 0, 0)


async def test_a_hold_is_made_once_by_its_key(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "100"))
    assert await held(billing, account, "60", "k")
    assert await held(billing, account, "60", "k")
    assert not await held(billing, account, "60", "other")
    assert await balance(billing, account) == (100, 0, 60)
    async with booking(billing) as db:
        assert await holds.end(db, billing.operator_id, "k", "released") == 60
        assert await holds.end(db, billing.operator_id, "k", "released") is None
    assert not await held(billing, account, "60", "k")  # it is over
    assert await held(billing, account, "60", "other")


async def test_a_hold_that_did_not_fit_can_be_tried_again(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    assert not await held(billing, account, "1", "k")
    await booked(billing, top_up(account, "1"))
    assert await held(billing, account, "1", "k")


async def test_credit_and_bonus_can_be_held_and_no_limit_holds_anything(billing: Billing) -> None:
    account = await opened(billing, credit_limit=Decimal(10))
    gift = (Amount(account, Decimal(5), "bonus"), Amount(Own("bonus_expense"), Decimal(-5)))
    await booked(billing, Entry("gift", "bonus", now(), "EUR", gift))
    assert not await held(billing, account, "15.01", "much")
    assert await held(billing, account, "15", "all")
    assert await held(billing, await opened(billing), "1000000", "invoice")


async def test_a_hold_is_extended_as_far_as_there_is_money(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "10"))
    assert await held(billing, account, "4", "k")

    async def upto(amount: str) -> Decimal | None:
        async with booking(billing) as db:
            return await holds.extend(db, billing.operator_id, "k", Decimal(amount), IN_DAYS)

    assert [await upto(amount) for amount in ("7", "5", "12", "12")] == [7, 7, 10, 10]
    assert await balance(billing, account) == (10, 0, 10)
    # A settle that takes it below zero is never refused; nothing is then held in addition.
    spent = (Amount(account, Decimal(-13)), Amount(BANK, Decimal(13)))
    await booked(billing, Entry("late", "record", now(), "EUR", spent))
    assert await upto("20") == 10
    assert await balance(billing, account) == (-3, 0, 10)


async def test_nothing_is_held_of_a_blocked_account(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "10"))
    assert await held(billing, account, "4", "k")
    async with billing.as_(billing.operator_id, "accounts:write") as api:
        await api.post(f"/v1/accounts/{account}/block", json={"reason": "stolen"})
    assert not await held(billing, account, "1", "new")
    async with booking(billing) as db:
        assert await holds.extend(db, billing.operator_id, "k", Decimal(9), IN_DAYS) == 4


async def test_another_operators_hold_of_the_same_key_is_another(billing: Billing) -> None:
    other = Billing.of(billing)
    account, elsewhere = await opened(billing, **WALLET), await opened(other, **WALLET)
    await booked(billing, top_up(account, "1"))
    await booked(other, top_up(elsewhere, "1"))
    assert await held(billing, account, "1", "k")
    assert await held(other, elsewhere, "1", "k")
    async with booking(billing) as db:
        assert await holds.end(db, other.operator_id, "k", "released") is None
