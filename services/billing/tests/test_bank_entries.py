"""Transfers that staff decide about: each is credited once, by whatever way it is told first."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from bank_files import entry, file
from sqlalchemy import text
from stack import eventually

from common.ids import uuid7

from .booking import booking
from .cashier import Cashier, cashier, euros
from .conftest import Billing
from .test_refunds import spend
from .test_transfers import counts, reference, sent

__all__ = ["cashier"]


async def by_hand(cashier: Cashier, account: UUID, amount: str, **more: Any) -> httpx.Response:
    body = {"way": "bank", "received_on": "2026-03-01", "reason": "found on the account"}
    return await cashier.post(
        "topups", account_id=str(account), amount=euros(amount), **body | more
    )


async def assign(cashier: Cashier, waiting: Any, account: UUID, **more: Any) -> httpx.Response:
    body = {"account_id": str(account), "reason": "he called", **more}
    return await cashier.api.post(f"/v1/bank-entries/{waiting['id']}/assign", json=body)


async def unmatched(cashier: Cashier) -> list[Any]:
    items: list[Any] = (await cashier.get("bank-entries", state="unmatched"))["items"]
    return items


async def test_an_assigned_transfer_that_staff_have_booked_is_linked_and_not_credited_again(
    cashier: Cashier,
) -> None:
    await cashier.operator()
    account, other = await cashier.account(), await cashier.account()
    made = (await by_hand(cashier, account, "30.00")).json()
    many = [entry("30.00", text=["x"], bank_reference=f"B-{one}") for one in range(3)]
    far = entry("30.00", text=["x"], bank_reference="B-4", booked="2026-02-20")
    await counts(cashier, *many, far)
    first, second, third, far_off = await unmatched(cashier)
    # What was booked for another account, or long before or after, is another transfer.
    assert (await assign(cashier, far_off, account)).json()["topup_id"] != made["id"]
    assert (await assign(cashier, third, other)).json()["topup_id"] != made["id"]
    assert await cashier.balance(account) == ("60.00", "0.00", "0.00")
    linked = (await assign(cashier, first, account)).json()
    assert (linked["state"], linked["topup_id"]) == ("matched", made["id"])
    assert linked["decided_by"] == "test"
    assert await cashier.balance(account) == ("60.00", "0.00", "0.00")
    # Each is of one entry: a second one is credited.
    assert (await assign(cashier, second, account)).json()["topup_id"] != made["id"]
    assert await cashier.balance(account) == ("90.00", "0.00", "0.00")


@pytest.mark.parametrize("told", ["assigned", "linked"])
async def test_what_a_statement_has_told_of_is_not_booked_by_hand_again(
    cashier: Cashier, told: str
) -> None:
    await cashier.operator()
    account = await cashier.account()
    if told == "assigned":
        await counts(cashier, entry("30.00", text=["x"]))
        (waiting,) = await unmatched(cashier)
        topup = (await assign(cashier, waiting, account)).json()["topup_id"]
    else:
        topup = (await by_hand(cashier, account, "30.00")).json()["id"]
        await counts(cashier, entry("30.00", text=[await reference(cashier, account)]))
    refused = await by_hand(cashier, account, "30.00")
    assert refused.json()["type"].endswith("already-imported"), refused.text
    assert refused.json()["topup"] == topup
    assert await cashier.balance(account) == ("30.00", "0.00", "0.00")
    assert (await by_hand(cashier, account, "30.00", confirm=True)).status_code == 201


async def waiting_for_locks(cashier: Cashier, number: int) -> None:
    """Until so many of billing's transactions wait for another's."""

    async def so() -> bool:
        (row,) = await cashier.billing.stored("""
            select count(distinct pid) as waiting from pg_locks where not granted
                and pid in (select pid from pg_stat_activity where application_name = 'billing')
        """)
        return bool(row["waiting"] == number)

    await eventually(so)


Way = Callable[[], Awaitable[httpx.Response]]


@pytest.mark.parametrize("order", ["import, hand", "hand, import", "assign, hand", "hand, assign"])
async def test_a_transfer_that_is_told_two_ways_at_once_is_credited_once(
    cashier: Cashier, order: str
) -> None:
    await cashier.operator()
    account = await cashier.account()
    named = file(entry("30.00", text=[await reference(cashier, account)]))
    await counts(cashier, entry("30.00", text=["x"], bank_reference="B-2"), statement_id="old")
    (waiting,) = await unmatched(cashier)
    ways: dict[str, Way] = {
        "import": lambda: sent(cashier, named),
        "assign": lambda: assign(cashier, waiting, account),
        "hand": lambda: by_hand(cashier, account, "30.00"),
    }
    asked = []
    async with booking(cashier.billing) as db:
        # Whoever comes first is kept from booking, until the second is under way.
        lock = text("select from balance where account_id = :account for update")
        await db.execute(lock, {"account": account})
        for number, way in enumerate(order.split(", "), 1):
            asked.append(asyncio.ensure_future(ways[way]()))
            await waiting_for_locks(cashier, number)
    answers = dict(zip(order.split(", "), await asyncio.gather(*asked), strict=True))
    assert await cashier.balance(account) == ("30.00", "0.00", "0.00")
    if order.endswith("hand"):
        assert answers["hand"].json()["type"].endswith("already-imported")
    elif "import" in answers:
        assert answers["import"].json()["counts"]["linked"] == 1
    else:
        assert answers["assign"].json()["topup_id"] == answers["hand"].json()["id"]


async def recalled(cashier: Cashier, amount: str, number: int = 1) -> Any:
    """The entry of a transfer that the bank takes back; it names nobody's account."""
    taken = entry(
        amount, text=["recall"], incoming=False, reversal=True, bank_reference=f"R-{number}"
    )
    await counts(cashier, taken, statement_id=f"recall {number}")
    return (await unmatched(cashier))[-1]


async def credited(cashier: Cashier, account: UUID, amount: str) -> Any:
    """The top-up of a transfer by its reference."""
    named = entry(amount, text=[await reference(cashier, account)], bank_reference=f"B-{account}")
    await counts(cashier, named, statement_id=str(account))
    (topup,) = (await cashier.get("topups", account_id=account))["items"]
    return topup


async def test_a_transfer_that_the_bank_takes_back_is_booked_also_when_it_is_spent(
    cashier: Cashier,
) -> None:
    await cashier.operator()
    account = await cashier.account()
    topup = await credited(cashier, account, "100.00")
    await spend(cashier, account, "80.00")
    taken = await recalled(cashier, "100.00")
    answers = await asyncio.gather(
        *(assign(cashier, taken, account, topup_id=topup["id"]) for _ in range(4))
    )
    for answer in answers:  # the same again changes nothing
        assert answer.status_code == 200, answer.text
        assert (answer.json()["state"], answer.json()["topup_id"]) == ("matched", topup["id"])
    assert answers[0].json()["decided_by"] == "test"
    assert await cashier.balance(account) == ("-80.00", "0.00", "0.00")
    there = await cashier.get(f"accounts/{account}")
    assert (there["state"], there["chargeback"], there["may_charge"]) == ("blocked", True, False)
    (chargeback,) = (await cashier.get("chargebacks", account_id=account))["items"]
    assert chargeback["id"] == taken["id"]
    assert (chargeback["topup_id"], chargeback["amount"]) == (topup["id"], euros("100.00"))
    assert (chargeback["reason"], chargeback["at"]) == ("he called", "2026-03-02T00:00:00Z")
    (line,) = (await cashier.get(f"accounts/{account}/statement"))["movements"][-1:]
    assert (line["kind"], line["money"], line["payment_id"]) == (
        "chargeback", "-100.00", taken["id"],
    )  # fmt: skip
    # Both entries tell of the top-up, in the list too; and nothing more goes back of it.
    items = (await cashier.get("bank-entries", state="matched"))["items"]
    assert [one["topup_id"] for one in items] == [topup["id"]] * 2
    back = await cashier.post(
        f"topups/{topup['id']}/refunds", amount="1.00", reason="x", receipt="A-1"
    )
    assert back.json()["type"].endswith("more-than-was-paid")
    again = await assign(cashier, taken, await cashier.account(), topup_id=topup["id"])
    assert again.json()["type"].endswith("entry-decided")
    assert again.json()["topup"] == topup["id"]


async def test_the_bank_takes_back_no_more_than_is_left_of_the_transfer(cashier: Cashier) -> None:
    await cashier.operator()
    account = await cashier.account()
    topup = await credited(cashier, account, "100.00")
    path = f"topups/{topup['id']}/refunds"
    await cashier.made(path, amount="30.00", reason="moved", receipt="A-1")
    whole, part = await recalled(cashier, "70.01", 1), await recalled(cashier, "70.00", 2)
    refused = await assign(cashier, whole, account, topup_id=topup["id"])
    assert (refused.status_code, refused.json()["left"]) == (409, "70.00")
    assert refused.json()["type"].endswith("more-than-was-paid")
    assert (await assign(cashier, part, account, topup_id=topup["id"])).status_code == 200
    assert await cashier.balance(account) == ("0.00", "0.00", "0.00")
    (left,) = await unmatched(cashier)
    assert left["id"] == whole["id"]


async def test_what_the_bank_takes_back_is_of_a_transfer_of_the_same_account(
    cashier: Cashier,
) -> None:
    await cashier.operator()
    account, other = await cashier.account(), await cashier.account()
    topup = await credited(cashier, account, "100.00")
    in_cash = await cashier.cash(other, "100.00")
    taken = await recalled(cashier, "100.00")
    unnamed = await assign(cashier, taken, account)
    assert (unnamed.status_code, unnamed.json()["type"][-10:]) == (409, "taken-back")
    for of, named in [(other, topup["id"]), (other, in_cash["id"]), (account, str(uuid7()))]:
        refused = await assign(cashier, taken, of, topup_id=named)
        assert refused.status_code == 422, refused.text
        assert refused.json()["type"].endswith("unknown-transfer")
    stranger = Cashier(Billing.of(cashier.billing))
    elsewhere = await assign(stranger, taken, account, topup_id=topup["id"])
    await stranger.api.aclose()
    assert elsewhere.status_code == 404
    # Nor does a transfer that came in name a top-up.
    await counts(cashier, entry("5.00", text=["x"], bank_reference="B-9"), statement_id="in")
    came_in = (await unmatched(cashier))[-1]
    refused = await assign(cashier, came_in, account, topup_id=topup["id"])
    assert (refused.status_code, refused.json()["type"][-14:]) == (422, "not-taken-back")
    assert len(await unmatched(cashier)) == 2
    assert await cashier.balance(account) == ("100.00", "0.00", "0.00")
