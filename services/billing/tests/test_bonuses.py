"""Bonus credit: given once, spent before money, never paid out, and gone when it expires."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from billing.ledger import Amount, Entry, Own, post
from billing.payments import bonuses
from common.clock import now
from common.ids import uuid7

from .booking import booked, booking
from .cashier import Cashier, cashier, euros

__all__ = ["cashier"]


def spending(account: UUID, amount: str) -> Entry:
    sum_ = Decimal(amount)
    return Entry(
        event_id=f"spent:{uuid7()}",
        kind="record",
        at=now(),
        currency="EUR",
        amounts=(Amount(account, -sum_, "bonus"), Amount(Own("revenue"), sum_)),
    )


async def spend_bonus(cashier: Cashier, account: UUID, amount: str) -> None:
    await booked(cashier.billing, spending(account, amount))


async def expire(cashier: Cashier, days: float) -> None:
    """As if so many days had passed; other tests' bonuses have ends of their own."""
    connections = cashier.billing.app.state.connections
    await bonuses.expire_once(connections, now() + timedelta(days=days))


def in_days(days: float) -> str:
    return (now() + timedelta(days=days)).isoformat()


async def test_a_bonus_is_given_once_and_stands_apart_from_money(cashier: Cashier) -> None:
    account = await cashier.account()
    await cashier.cash(account, "5.00")
    body = {"account_id": str(account), "amount": euros("10.00"), "reason": "welcome"}
    answers = await asyncio.gather(*(cashier.post("bonuses", "k", **body) for _ in range(5)))
    assert sorted(one.status_code for one in answers) == [200] * 4 + [201]
    assert await cashier.balance(account) == ("5.00", "10.00", "0.00")
    made = answers[0].json()
    assert (made["made_by"], made["expires_at"], made["expired_amount"]) == ("test", None, None)
    assert (await cashier.get("bonuses", account_id=account))["items"] == [made]
    other = await cashier.post("bonuses", "k", **body | {"reason": "again"})
    assert other.json()["type"].endswith("idempotency-key-reused")
    late = await cashier.post("bonuses", **body, expires_at=in_days(-1))
    assert late.json()["type"].endswith("bonus-expired")


async def test_only_what_is_left_of_a_bonus_expires(cashier: Cashier) -> None:
    account = await cashier.account()
    body = {"account_id": str(account), "reason": "spring"}
    stays = await cashier.made("bonuses", **body, amount=euros("10.00"))
    ends = await cashier.made("bonuses", **body, amount=euros("8.00"), expires_at=in_days(3))
    await spend_bonus(cashier, account, "5.00")  # of the one that ends
    await expire(cashier, 2)
    assert await cashier.balance(account) == ("0.00", "13.00", "0.00")
    await expire(cashier, 4)
    assert await cashier.balance(account) == ("0.00", "10.00", "0.00")
    gone = await cashier.get(f"bonuses/{ends['id']}")
    assert gone["expired_amount"] == euros("3.00")
    await expire(cashier, 5)  # once
    assert await cashier.balance(account) == ("0.00", "10.00", "0.00")
    assert (await cashier.get(f"bonuses/{stays['id']}"))["expired_at"] is None


async def test_a_bonus_that_was_spent_expires_without_a_journal(cashier: Cashier) -> None:
    account = await cashier.account()
    made = await cashier.made(
        "bonuses", account_id=str(account), amount=euros("8.00"), reason="x", expires_at=in_days(1)
    )
    await spend_bonus(cashier, account, "8.00")
    await expire(cashier, 2)
    gone = await cashier.get(f"bonuses/{made['id']}")
    assert Decimal(gone["expired_amount"]["amount"]) == 0
    assert gone["expired_at"] is not None
    journals = (await cashier.get(f"accounts/{account}/journals"))["items"]
    assert [one["kind"] for one in journals] == ["record", "bonus"]


async def test_many_who_expire_at_once_take_it_once(cashier: Cashier) -> None:
    account = await cashier.account()
    for _ in range(3):
        await cashier.made(
            "bonuses", account_id=str(account), amount=euros("8.00"), reason="x",
            expires_at=in_days(1),
        )  # fmt: skip
    await cashier.made("bonuses", account_id=str(account), amount=euros("1.00"), reason="y")
    await asyncio.gather(*(expire(cashier, 2) for _ in range(4)))
    assert await cashier.balance(account) == ("0.00", "1.00", "0.00")


async def test_what_is_being_spent_as_a_bonus_expires_does_not_expire(cashier: Cashier) -> None:
    account = await cashier.account()
    made = await cashier.made(
        "bonuses", account_id=str(account), amount=euros("8.00"), reason="x", expires_at=in_days(1)
    )
    async with asyncio.TaskGroup() as group, booking(cashier.billing) as db:
        await post(db, cashier.billing.operator_id, spending(account, "5.00"))
        group.create_task(expire(cashier, 2))
        await asyncio.sleep(0.7)  # it waits for the balance
    assert await cashier.balance(account) == ("0.00", "0.00", "0.00")
    gone = await cashier.get(f"bonuses/{made['id']}")
    assert gone["expired_amount"] == euros("3.00")
