"""Top-ups: credited when they are there, once, whatever comes twice, late or lost."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from stack import eventually

from billing.payments import asking
from common.clock import now
from common.events import PersonalDataCollected, PersonalDataRequested
from common.ids import uuid7

from .booking import WALLET, opened
from .cashier import Cashier, cashier, euros, mollie
from .conftest import Billing
from .mollie_server import KEY, MollieServer

__all__ = ["cashier", "mollie"]


async def credits_of(billing: Billing, account: UUID) -> list[dict[str, Any]]:
    return await billing.stored(
        "select j.event_id, j.kind, j.booked_by, p.amount from posting p "
        "join journal j on j.id = p.journal_id where p.account_id = $1 order by p.id",
        account,
    )


async def test_cash_is_credited_at_once_with_who_when_and_the_receipt(cashier: Cashier) -> None:
    account = await cashier.account()
    made = await cashier.cash(account, "20.00")
    assert made["state"] == "paid"
    assert (made["made_by"], made["receipt"], made["reason"]) == ("test", "K-1", "at the counter")
    assert made["paid_at"] is not None
    assert await cashier.balance(account) == ("20.00", "0.00", "0.00")
    (journal,) = await credits_of(cashier.billing, account)
    assert (journal["kind"], journal["booked_by"]) == ("top_up", "test")
    assert await cashier.get(f"topups/{made['id']}") == made


async def test_the_same_key_again_is_the_same_top_up_and_other_words_are_refused(
    cashier: Cashier,
) -> None:
    account = await cashier.account()
    body = {
        "way": "cash", "account_id": str(account), "amount": euros("20.00"), "receipt": "K-1",
        "reason": "at the counter",
    }  # fmt: skip
    answers = await asyncio.gather(*(cashier.post("topups", "k", **body) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [200] * 7 + [201]
    assert len({one.json()["id"] for one in answers}) == 1
    assert await cashier.balance(account) == ("20.00", "0.00", "0.00")
    other = await cashier.post("topups", "k", **body | {"receipt": "K-2"})
    assert other.status_code == 422
    assert other.json()["type"].endswith("idempotency-key-reused")
    without = await cashier.api.post("/v1/topups", json=body)
    assert without.status_code == 422


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"account_id": str(uuid7())}, "unknown-account"),
        ({"amount": {"amount": "5", "currency": "CHF"}}, "currency-mismatch"),
        ({"amount": euros("0")}, "invalid-request"),
        ({"amount": euros("-5")}, "invalid-request"),
        ({"amount": euros("1.001")}, "invalid-request"),
        ({"amount": euros("NaN")}, "invalid-request"),
        ({"amount": euros("99999999999999")}, "invalid-request"),
        ({"way": "gold"}, "invalid-request"),
        ({"receipt": "a\nb"}, "invalid-request"),
    ],
)
async def test_what_is_no_top_up_is_refused(
    cashier: Cashier, change: dict[str, Any], problem: str
) -> None:
    account = await cashier.account()
    body = {
        "way": "cash", "account_id": str(account), "amount": euros("5"), "receipt": "1",
        "reason": "x",
    }  # fmt: skip
    answer = await cashier.post("topups", **body | change)
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"].endswith(problem)
    assert await cashier.balance(account) == ("0.00", "0.00", "0.00")


async def test_what_is_wrong_with_a_top_up_is_found_in_what_was_sent(cashier: Cashier) -> None:
    body = {
        "way": "cash", "account_id": str(uuid7()), "amount": euros("NaN"), "receipt": "1",
        "reason": "x",
    }  # fmt: skip
    answer = (await cashier.post("topups", **body)).json()
    assert {one["pointer"] for one in answer["errors"]} == {"/body/amount/amount"}
    assert answer["detail"].startswith("1 field is wrong: /body/amount/amount: ")


async def test_an_account_of_the_operators_own_or_of_another_operator_is_none(
    cashier: Cashier, billing: Billing
) -> None:
    account = await cashier.account()
    await cashier.cash(account, "5")
    rows = await billing.stored(
        "select id from account where operator_id = $1 and kind = 'cash'", billing.operator_id
    )
    other = Cashier(Billing.of(billing))
    for who, of in ((cashier, rows[0]["id"]), (other, account)):
        answer = await who.post(
            "topups", way="cash", account_id=str(of), amount=euros("5"), receipt="1", reason="x"
        )
        assert answer.json()["type"].endswith("unknown-account"), answer.text
    await other.api.aclose()


async def test_without_a_provider_nobody_pays_online(cashier: Cashier) -> None:
    answer = await cashier.online(await cashier.account(), "10.00")
    assert (answer.status_code, answer.json()["type"][-19:]) == (409, "no-payment-provider")


async def test_a_provider_is_tried_before_it_is_kept_and_its_secret_is_never_shown(
    cashier: Cashier, billing: Billing, mollie: MollieServer
) -> None:
    there = await cashier.get("payment-provider")
    assert there == {"kind": "mollie", "endpoint": mollie.url, "active": True, "version": 1}
    body = {"kind": "mollie", "endpoint": mollie.url, "secret": "test_another_one"}
    wrong = await cashier.api.put("/v1/payment-provider", json=body)
    assert wrong.status_code == 422
    assert "401" in wrong.json()["detail"]
    elsewhere = {"kind": "mollie", "endpoint": "http://127.0.0.1:9/v2"}
    moved = await cashier.api.put("/v1/payment-provider", json=elsewhere)
    assert moved.json()["type"].endswith("secret-needed")
    kept = await billing.stored("select * from payment_provider")
    assert all(KEY.encode() not in row["sealed_secret"] for row in kept)
    off = {"kind": "mollie", "endpoint": mollie.url, "active": False}
    assert (await cashier.api.put("/v1/payment-provider", json=off)).status_code == 200
    answer = await cashier.online(await cashier.account(), "10.00")
    assert answer.json()["type"].endswith("no-payment-provider")


async def test_what_is_paid_online_is_credited_once_whatever_comes_how_often(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    answer = await cashier.online(account, "25.00")
    assert answer.status_code == 201, answer.text
    topup = answer.json()
    payment = mollie.payments[topup["provider_payment_id"]]
    assert payment["amount"] == {"currency": "EUR", "value": "25.00"}
    assert payment["webhookUrl"].endswith(f"/v1/payment-notices/{topup['id']}")
    assert topup["checkout_url"].startswith("https://www.mollie.com/checkout/")
    assert topup["state"] == "open"
    # A notice alone credits nothing: it only makes us ask.
    await cashier.notify(topup)
    asked = len(mollie.calls)
    await eventually(lambda: _more_calls(mollie, asked))
    assert await cashier.balance(account) == ("0.00", "0.00", "0.00")
    mollie.pay(payment["id"])
    paid = await cashier.becomes(topup, state="paid")
    assert paid["checkout_url"] is None
    asker = cashier.billing.app.state.beside.payments
    for _ in range(3):
        await asyncio.gather(
            *(asker.ask(cashier.billing.operator_id, UUID(topup["id"])) for _ in range(4))
        )
    assert await cashier.balance(account) == ("25.00", "0.00", "0.00")
    (journal,) = await credits_of(cashier.billing, account)
    assert journal["event_id"] == f"payment:mollie:{payment['id']}"


async def _more_calls(mollie: MollieServer, than: int) -> bool:
    return len(mollie.calls) > than


async def test_what_is_asked_about_without_a_notice_is_found_as_well(
    cashier: Cashier, mollie: MollieServer
) -> None:
    topup = (await cashier.online(await cashier.account(), "25.00")).json()
    mollie.pay(topup["provider_payment_id"])

    async def paid() -> bool:
        return bool((await cashier.get(f"topups/{topup['id']}"))["state"] == "paid")

    await eventually(paid, 15)


@pytest.mark.parametrize("state", ["failed", "canceled", "expired"])
async def test_what_is_not_paid_is_over_and_what_is_paid_after_all_counts(
    cashier: Cashier, mollie: MollieServer, state: str
) -> None:
    account = await cashier.account()
    topup = (await cashier.online(account, "25.00")).json()
    mollie.pay(topup["provider_payment_id"], status=state)
    over = await cashier.becomes(topup, state=state)
    assert over["checkout_url"] is None
    assert await cashier.balance(account) == ("0.00", "0.00", "0.00")
    mollie.pay(topup["provider_payment_id"])
    await cashier.becomes(topup, state="paid")
    assert await cashier.balance(account) == ("25.00", "0.00", "0.00")


@pytest.mark.parametrize(
    "told",
    [
        {"amount": {"currency": "EUR", "value": "2.50"}},
        {"amount": {"currency": "CHF", "value": "25.00"}},
    ],
)
async def test_another_amount_or_currency_than_asked_for_is_not_credited(
    cashier: Cashier, mollie: MollieServer, told: dict[str, Any]
) -> None:
    account = await cashier.account()
    topup = (await cashier.online(account, "25.00")).json()
    mollie.pay(topup["provider_payment_id"], **told)
    found = await cashier.becomes(topup, state="mismatched")
    assert told["amount"]["value"] in found["problem"]
    assert await cashier.balance(account) == ("0.00", "0.00", "0.00")


async def test_the_payment_of_another_top_up_is_not_believed(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    mine, other = [(await cashier.online(account, "25.00")).json() for _ in range(2)]
    metadata = mollie.payments[other["provider_payment_id"]]["metadata"]
    mollie.pay(mine["provider_payment_id"], metadata=metadata)
    found = await cashier.becomes(
        mine, problem=f"{mine['provider_payment_id']} is the payment of something else"
    )
    assert found["state"] == "open"
    assert await cashier.balance(account) == ("0.00", "0.00", "0.00")


async def test_an_answer_that_was_lost_is_asked_for_again_and_there_is_one_payment(
    cashier: Cashier, mollie: MollieServer
) -> None:
    account = await cashier.account()
    mollie.trouble = ["lost"]
    first = await cashier.online(account, "25.00", "same")
    assert (first.status_code, first.json()["type"][-23:]) == (502, "payment-provider-failed")
    again = await cashier.online(account, "25.00", "same")
    assert again.status_code == 200, again.text
    assert again.json()["id"] == first.json()["topup"]
    assert again.json()["checkout_url"]
    assert len(mollie.payments) == 1


async def test_what_a_crash_left_between_us_and_the_provider_is_gone_on_with(
    cashier: Cashier, billing: Billing, mollie: MollieServer
) -> None:
    account = await cashier.account()
    mollie.trouble = ["lost"]
    topup_id = (await cashier.online(account, "25.00")).json()["topup"]
    await billing.stored("update topup set next_ask_at = now() where id = $1", UUID(topup_id))

    async def begun() -> Any:
        found = await cashier.get(f"topups/{topup_id}")
        return found if found["checkout_url"] else None

    found = await eventually(begun)
    assert len(mollie.payments) == 1
    mollie.pay(found["provider_payment_id"])
    await cashier.becomes(found, state="paid")
    assert await cashier.balance(account) == ("25.00", "0.00", "0.00")


async def test_what_was_not_begun_within_the_providers_hour_is_over(
    cashier: Cashier, billing: Billing, mollie: MollieServer
) -> None:
    mollie.trouble = ["away"]
    topup_id = UUID((await cashier.online(await cashier.account(), "25.00")).json()["topup"])
    early = now() - asking.BEGUN_WITHIN - timedelta(seconds=1)
    await billing.stored(
        "update topup set made_at = $2, next_ask_at = now() where id = $1", topup_id, early
    )

    async def over() -> bool:
        return bool((await cashier.get(f"topups/{topup_id}"))["state"] == "failed")

    await eventually(over)
    assert not mollie.payments


async def test_what_the_provider_refuses_is_over_and_says_why(
    cashier: Cashier, mollie: MollieServer
) -> None:
    answer = await cashier.online(await cashier.account(), "10001.00")
    assert answer.status_code == 502
    assert "higher than the maximum" in answer.json()["detail"]
    assert (await cashier.get(f"topups/{answer.json()['topup']}"))["state"] == "failed"


async def test_a_flood_of_notices_is_a_question_a_second(
    cashier: Cashier, billing: Billing, mollie: MollieServer
) -> None:
    topup = (await cashier.online(await cashier.account(), "25.00")).json()
    # As if it had just been asked about; far enough ahead for nobody to take it meanwhile.
    asked_at = now() + timedelta(minutes=5)
    values = (UUID(topup["id"]), asked_at)
    # Whoever has taken it for a question says "in a minute" until it is answered.
    untaken = "next_ask_at < now() + interval '30 seconds'"
    quiet = "update topup set asked_at = $2, next_ask_at = null where id = $1"
    await eventually(lambda: billing.stored(f"{quiet} and {untaken} returning id", *values))
    before = len(mollie.calls)
    for _ in range(60):
        await cashier.notify(topup)
    (row,) = await billing.stored("select next_ask_at from topup where id = $1", values[0])
    assert row["next_ask_at"] == asked_at + timedelta(seconds=1)
    assert len(mollie.calls) == before


async def test_a_notice_of_what_is_not_there_is_answered_like_any(cashier: Cashier) -> None:
    for path in (uuid7(), "0" * 32):
        answer = await cashier.billing.http.post(f"/v1/payment-notices/{path}", content=b"id=tr_1")
        assert (answer.status_code, answer.content) == (200, b"")


async def test_staff_of_some_locations_move_no_money(cashier: Cashier, billing: Billing) -> None:
    account = await cashier.account()
    limited = billing.as_(
        billing.operator_id, "payments:write", locations=[str(uuid7())], role="billing-clerk"
    )
    body = {
        "way": "cash", "account_id": str(account), "amount": euros("5"), "receipt": "1",
        "reason": "x",
    }  # fmt: skip
    async with limited as api:
        answer = await api.post("/v1/topups", json=body, headers={"Idempotency-Key": "k"})
    assert answer.json()["type"].endswith("money-of-every-location")


async def test_top_ups_are_listed_by_account_way_and_state(cashier: Cashier) -> None:
    first, second = await cashier.account(), await cashier.account()
    a, b = await cashier.cash(first, "1"), await cashier.cash(first, "2")
    await cashier.cash(second, "3")
    page = await cashier.get("topups", account_id=first, limit=1)
    assert [one["id"] for one in page["items"]] == [b["id"]]
    more = await cashier.get("topups", account_id=first, cursor=page["next_cursor"])
    assert [one["id"] for one in more["items"]] == [a["id"]]
    assert len((await cashier.get("topups", way="cash", state="paid"))["items"]) == 3
    assert (await cashier.get("topups", state="open"))["items"] == []


async def test_less_than_the_strategy_asks_for_is_not_paid_online(
    cashier: Cashier, billing: Billing, mollie: MollieServer
) -> None:
    strategy = {"name": "prepaid", "method": "prepaid", "currency": "EUR", "minimum_topup": "10"}
    scopes = ("accounting-strategies:write", "accounting-strategies:read")
    async with billing.as_(billing.operator_id, *scopes) as api:
        made = await api.post("/v1/accounting-strategies", json=strategy)
    assert made.status_code == 201, made.text
    account = await opened(billing, strategy_id=UUID(made.json()["id"]), **WALLET)
    refused = await cashier.online(account, "9.99")
    assert (refused.status_code, refused.json()["minimum"]) == (422, "10")
    assert (await cashier.online(account, "10.00")).status_code == 201
    assert (await cashier.cash(account, "5.00"))["state"] == "paid"


async def test_people_are_told_of_their_payments(cashier: Cashier, billing: Billing) -> None:
    user = uuid7()
    mine, other = await opened(billing, user, **WALLET), await cashier.account()
    await cashier.cash(mine, "20.00")
    await cashier.cash(other, "7.00")
    await billing.handle(
        PersonalDataRequested(
            operator_id=billing.operator_id, request_id=uuid7(), user_id=user, cards=()
        )
    )
    parts = await eventually(lambda: billing.told(PersonalDataCollected))
    rows = {part["file"]: part["rows"] for part in parts}
    assert [(one["way"], one["amount"]) for one in rows["topups"]] == [("cash", "20.00")]


async def test_a_driver_tops_up_their_own_wallet_and_nobody_elses(
    cashier: Cashier, mollie: MollieServer
) -> None:
    billing, user, other = cashier.billing, uuid7(), await cashier.account()
    await billing.tariff()
    claims = {"role": "driver", "user_id": str(user)}
    body = {"amount": euros("25.00"), "redirect_url": "https://app.example/wallet"}
    async with billing.as_(billing.operator_id, "me:read", "me:write", **claims) as app:
        same = {"Idempotency-Key": "mine"}
        made = await app.post("/v1/me/topups", json=body, headers=same)
        again = await app.post("/v1/me/topups", json=body, headers=same)
        stolen = await app.post(
            "/v1/me/topups",
            json=body | {"account_id": str(other)},
            headers={"Idempotency-Key": "x"},
        )
        assert (made.status_code, again.status_code, stolen.status_code) == (201, 200, 404)
        assert made.json()["id"] == again.json()["id"]
        assert made.json()["checkout_url"].startswith("http")
        topup = await cashier.get(f"topups/{made.json()['id']}")
        mollie.pay(topup["provider_payment_id"])
        await cashier.becomes(topup, state="paid")
        [mine] = (await app.get("/v1/me/topups")).json()["items"]
        assert (mine["state"], mine["amount"]["amount"]) == ("paid", "25.00")
        [account] = (await app.get("/v1/me/accounts")).json()["items"]
        assert account["balance"]["amount"] == "25.00"
    async with billing.as_(billing.operator_id, "me:read", "me:write") as staff:
        answer = await staff.post("/v1/me/topups", json=body, headers=same)
        assert answer.status_code == 403
