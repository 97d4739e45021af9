"""Refunds and chargebacks: back the way it came, never more than came, and nothing twice."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stack import eventually

from billing.ledger import Amount, Entry, Own
from common.clock import now
from common.ids import uuid7

from .booking import booked
from .cashier import Cashier, cashier, euros, mollie
from .mollie_server import MollieServer

__all__ = ["cashier", "mollie"]

REFUND = {"reason": "moved away"}


async def paid(cashier: Cashier, mollie: MollieServer, account: UUID, amount: str) -> Any:
    topup = (await cashier.online(account, amount)).json()
    mollie.pay(topup["provider_payment_id"])
    return await cashier.becomes(topup, state="paid")


async def nothing_to_ask(cashier: Cashier, topup: dict[str, Any]) -> None:
    """Until the last notice has led to its question, which would ask for a new refund as well."""
    query = "select from topup where id = $1 and next_ask_at > now() + interval '1 hour'"
    await eventually(lambda: cashier.billing.stored(query, UUID(topup["id"])))


async def spend(cashier: Cashier, account: UUID, amount: str) -> None:
    sum_ = Decimal(amount)
    entry = Entry(
        event_id=f"spent:{uuid7()}",
        kind="record",
        at=now(),
        currency="EUR",
        amounts=(Amount(account, -sum_), Amount(Own("revenue"), sum_)),
    )
    await booked(cashier.billing, entry)


async def back(
    cashier: Cashier, topup: dict[str, Any], amount: str, key: str | None = None, **more: Any
) -> Any:
    return await cashier.post(f"topups/{topup['id']}/refunds", key, amount=amount, **REFUND | more)


async def test_a_refund_leaves_the_account_at_once_and_is_confirmed_by_the_provider(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    topup = await paid(cashier, mollie, account, "25.00")
    answer = await back(cashier, topup, "10.00")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["state"], made["amount"], made["made_by"]) == ("asked", euros("10.00"), "test")
    assert await cashier.balance(account) == ("15.00", "0.00", "0.00")
    (at_provider,) = mollie.refunds[topup["provider_payment_id"]]
    assert at_provider["id"] == made["provider_refund_id"]
    assert at_provider["amount"] == {"currency": "EUR", "value": "10.00"}
    assert at_provider["metadata"] == {"refund_id": made["id"]}
    mollie.settle_refund(topup["provider_payment_id"])
    confirmed = await refund_becomes(cashier, topup, made, "confirmed")
    assert confirmed["ended_at"] is not None
    assert await cashier.balance(account) == ("15.00", "0.00", "0.00")


async def refund_becomes(
    cashier: Cashier, topup: dict[str, Any], refund: dict[str, Any], state: str
) -> Any:
    async def so() -> Any:
        await cashier.notify(topup)
        found = await cashier.get(f"refunds/{refund['id']}")
        return found if found["state"] == state else None

    return await eventually(so)


async def test_what_the_provider_could_not_pay_back_is_in_the_account_again(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    topup = await paid(cashier, mollie, account, "25.00")
    made = (await back(cashier, topup, "10.00")).json()
    mollie.settle_refund(topup["provider_payment_id"], "failed")
    await refund_becomes(cashier, topup, made, "failed")
    assert await cashier.balance(account) == ("25.00", "0.00", "0.00")
    # And what is free again may go back again.
    assert (await back(cashier, topup, "25.00")).status_code == 201


async def test_a_refund_of_an_old_payment_is_asked_about_until_it_has_ended(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    topup = await paid(cashier, mollie, account, "25.00")
    topup_id = UUID(topup["id"])
    change, old = "update topup set made_at = $2 where id = $1", now() - timedelta(days=401)
    await cashier.billing.stored(change, topup_id, old)
    made = (await back(cashier, topup, "10.00")).json()
    assert made["state"] == "asked"
    mollie.settle_refund(topup["provider_payment_id"], "failed")
    query = "select next_ask_at from topup where id = $1"
    (row,) = await cashier.billing.stored(query, topup_id)
    assert row["next_ask_at"] is not None
    sooner = "update topup set next_ask_at = now() where id = $1"
    await cashier.billing.stored(sooner, topup_id)

    async def so() -> bool:  # and no notice
        return bool((await cashier.get(f"refunds/{made['id']}"))["state"] == "failed")

    await eventually(so)
    assert await cashier.balance(account) == ("25.00", "0.00", "0.00")


async def test_what_the_provider_refuses_to_pay_back_is_in_the_account_again(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    topup = await paid(cashier, mollie, account, "25.00")
    mollie.refuse_refunds = True
    made = (await back(cashier, topup, "10.00")).json()
    assert made["state"] == "failed"
    assert "balance is too low" in made["problem"]
    assert await cashier.balance(account) == ("25.00", "0.00", "0.00")


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_refund_whose_answer_was_lost_is_not_made_twice(
    cashier: Cashier, mollie: MollieServer, forgotten: bool
) -> None:
    """Nor after the hour in which the provider knows the key."""
    account = await cashier.account()
    topup = await paid(cashier, mollie, account, "25.00")
    await nothing_to_ask(cashier, topup)
    mollie.trouble = ["lost"]
    made = (await back(cashier, topup, "10.00")).json()
    assert (made["state"], made["provider_refund_id"]) == ("asked", None)
    assert len(mollie.refunds[topup["provider_payment_id"]]) == 1
    if forgotten:
        mollie.forget_keys()
    mollie.settle_refund(topup["provider_payment_id"])
    await refund_becomes(cashier, topup, made, "confirmed")
    assert len(mollie.refunds[topup["provider_payment_id"]]) == 1
    assert await cashier.balance(account) == ("15.00", "0.00", "0.00")


async def test_the_same_key_again_is_the_same_refund(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    topup = await paid(cashier, mollie, account, "25.00")
    answers = await asyncio.gather(*(back(cashier, topup, "10.00", "k") for _ in range(5)))
    assert sorted(one.status_code for one in answers) == [200] * 4 + [201]
    assert len(mollie.refunds[topup["provider_payment_id"]]) == 1
    assert await cashier.balance(account) == ("15.00", "0.00", "0.00")
    other = await back(cashier, topup, "11.00", "k")
    assert other.json()["type"].endswith("idempotency-key-reused")


async def test_never_more_goes_back_than_came_that_way_even_at_once(cashier: Cashier) -> None:
    account = await cashier.account()
    first = await cashier.cash(account, "30.00")
    await cashier.cash(account, "100.00")
    receipt = {"receipt": "A-1"}
    answers = await asyncio.gather(*(back(cashier, first, "10.00", **receipt) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [201] * 3 + [409] * 5
    refused = next(one.json() for one in answers if one.status_code == 409)
    assert (refused["type"][-18:], refused["left"]) == ("more-than-was-paid", "0.00")
    assert await cashier.balance(account) == ("100.00", "0.00", "0.00")


async def test_what_is_spent_or_held_does_not_go_back_and_bonus_never_does(
    cashier: Cashier,
) -> None:
    account = await cashier.account()
    topup = await cashier.cash(account, "30.00")
    await cashier.made("bonuses", account_id=str(account), amount=euros("50.00"), reason="welcome")
    await spend(cashier, account, "12.00")
    refused = (await back(cashier, topup, "18.01", receipt="A-1")).json()
    assert refused["type"].endswith("more-than-there-is")
    assert refused["left"] == "18.00"
    # 55 are held: 50 of the bonus, 5 of the money.
    await cashier.billing.stored("update balance set held = 55 where account_id = $1", account)
    refused = (await back(cashier, topup, "13.01", receipt="A-1")).json()
    assert refused["left"] == "13.00"
    answer = await back(cashier, topup, "13.00", receipt="A-1")
    assert answer.json()["state"] == "confirmed"
    await cashier.billing.stored("update balance set held = 0 where account_id = $1", account)
    assert await cashier.balance(account) == ("5.00", "50.00", "0.00")


async def test_what_staff_pay_back_has_a_receipt_and_what_was_not_paid_stays(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    topup = await cashier.cash(account, "30.00")
    assert (await back(cashier, topup, "1.00")).json()["type"].endswith("receipt-needed")
    unpaid = (await cashier.online(account, "25.00")).json()
    assert (await back(cashier, unpaid, "1.00")).json()["type"].endswith("nothing-paid")
    elsewhere = await back(cashier, {"id": str(uuid7())}, "1.00")
    assert elsewhere.status_code == 404


async def test_a_refund_that_somebody_made_at_the_provider_is_booked_as_well(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    topup = await paid(cashier, mollie, account, "25.00")
    mollie.refund_by_hand(topup["provider_payment_id"], "4.00")

    async def found() -> Any:
        await cashier.notify(topup)
        return (await cashier.get("refunds", topup_id=topup["id"]))["items"]

    (refund,) = await eventually(found)
    assert (refund["made_by"], refund["reason"]) == ("provider", "refunded at the provider")
    assert await cashier.balance(account) == ("21.00", "0.00", "0.00")
    assert (await back(cashier, topup, "21.01")).json()["type"].endswith("more-than-was-paid")


async def test_a_chargeback_takes_the_money_back_and_blocks_until_staff_unblock(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    topup = await paid(cashier, mollie, account, "25.00")
    await spend(cashier, account, "20.00")
    mollie.charge_back(topup["provider_payment_id"], "25.00")

    async def found() -> Any:
        await cashier.notify(topup)
        return (await cashier.get("chargebacks", account_id=account))["items"]

    (chargeback,) = await eventually(found)
    assert chargeback["reason"] == "AC01 Account identifier incorrect"
    assert await cashier.balance(account) == ("-20.00", "0.00", "0.00")
    there = await cashier.get(f"accounts/{account}")
    assert (there["state"], there["chargeback"]) == ("blocked", True)
    assert (there["may_charge"], there["standing_reason"]) == (False, "chargeback")
    # Nothing more goes back of it.
    assert (await back(cashier, topup, "1.00")).json()["type"].endswith("more-than-was-paid")
    # A top-up evens it out, and does not unblock.
    await cashier.cash(account, "30.00")
    assert (await cashier.get(f"accounts/{account}"))["state"] == "blocked"
    body = {"reason": "spoke with her"}
    answer = await cashier.api.post(f"/v1/accounts/{account}/unblock", json=body)
    assert answer.json()["may_charge"] is True
    # The next question does not block it again.
    await cashier.notify(topup)
    await asyncio.sleep(1.5)
    assert (await cashier.get(f"accounts/{account}"))["state"] == "open"


async def test_a_chargeback_that_is_undone_gives_the_money_again_and_stays_blocked(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    topup = await paid(cashier, mollie, account, "25.00")
    mollie.charge_back(topup["provider_payment_id"], "25.00")
    mollie.reverse(topup["provider_payment_id"])

    async def found() -> Any:
        await cashier.notify(topup)
        items = (await cashier.get("chargebacks", account_id=account))["items"]
        return items and items[0]["reversed_at"]

    await eventually(found)
    assert await cashier.balance(account) == ("25.00", "0.00", "0.00")
    assert (await cashier.get(f"accounts/{account}"))["state"] == "blocked"
    assert (await back(cashier, topup, "25.00")).status_code == 201
    statement = await cashier.get(f"accounts/{account}/statement")
    kinds = [line["kind"] for line in statement["movements"]]
    assert kinds == ["top_up", "chargeback", "chargeback", "refund"]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_in_whatever_order_things_happen_the_books_agree_with_the_provider(
    cashier: Cashier, mollie: MollieServer, data: st.DataObject
) -> None:
    account = await cashier.account()
    asker = cashier.billing.app.state.beside.payments
    topup = (await cashier.online(account, "50.00")).json()
    payment = topup["provider_payment_id"]
    for _ in range(data.draw(st.integers(3, 9))):
        step = data.draw(
            st.sampled_from(
                ["pay", "ask", "ask", "refund", "by hand", "settle", "fail", "charge", "reverse"]
            )
        )
        if step == "pay":
            mollie.pay(payment)
        elif step == "ask":
            await asker.ask(cashier.billing.operator_id, UUID(topup["id"]))
        elif step == "refund":
            await back(cashier, topup, data.draw(st.sampled_from(["5.00", "20.00", "50.00"])))
        elif mollie.payments[payment]["status"] == "paid":
            if step == "by hand":
                mollie.refund_by_hand(payment, "1.00")
            elif step in ("settle", "fail"):
                pending = [one for one in mollie.refunds[payment] if one["status"] == "pending"]
                for one in pending[:1]:
                    one["status"] = "refunded" if step == "settle" else "failed"
            elif step == "charge":
                mollie.charge_back(payment, "2.00")
            else:
                mollie.reverse(payment)
    await asker.ask(cashier.billing.operator_id, UUID(topup["id"]))
    money, _, _ = await cashier.balance(account)
    assert Decimal(money) == at_the_provider(mollie, payment)
    row = (await cashier.billing.stored(
        "select coalesce(sum(p.amount), 0) as total, count(distinct j.event_id) = count(*) / 2 "
        "as once from posting p join journal j on j.id = p.journal_id where j.payment_id in "
        "(select id from topup where id = $1 union select id from refund where topup_id = $1 "
        "union select id from chargeback where topup_id = $1)", UUID(topup["id"]),
    ))[0]  # fmt: skip
    assert (row["total"], row["once"]) == (0, True)


def at_the_provider(mollie: MollieServer, payment: str) -> Decimal:
    """What the operator has of the payment, as the provider knows it."""
    if mollie.payments[payment]["status"] != "paid":
        return Decimal(0)
    total = Decimal(mollie.payments[payment]["amount"]["value"])
    for one in mollie.refunds[payment]:
        total -= Decimal(one["amount"]["value"]) if one["status"] != "failed" else 0
    for one in mollie.chargebacks[payment]:
        total -= Decimal(one["amount"]["value"]) if one["reversedAt"] is None else 0
    return total
