"""Accounts by REST: what staff see and change, and what drivers see of their own."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from billing.ledger import accounts, post
from common.events import AccountStandingChanged, CompanyChanged
from common.ids import uuid7

from .booking import BANK, WALLET, bonus, booked, booking, opened, top_up
from .conftest import Billing

BOTH = ("accounts:read", "accounts:write")


def staff(billing: Billing) -> httpx.AsyncClient:
    return billing.as_(billing.operator_id, *BOTH)


async def standings(billing: Billing) -> list[tuple[bool, str | None]]:
    return [
        (one["may_charge"], one["reason"]) for one in await billing.told(AccountStandingChanged)
    ]


async def test_staff_open_an_account_once(billing: Billing) -> None:
    body = {"owner_kind": "company", "owner_id": str(uuid7()), "currency": "EUR"}
    company = CompanyChanged(
        operator_id=billing.operator_id,
        company_id=UUID(body["owner_id"]),
        version=1,
        name="Acme",
        active=True,
    )
    async with staff(billing) as api:
        unknown = await api.post("/v1/accounts", json=body)
        assert unknown.json()["type"].endswith(":unknown-owner")
        await billing.handle(company)
        async with billing.as_(uuid7(), *BOTH) as others:
            foreign = await others.post("/v1/accounts", json=body)
        assert foreign.status_code == 422, "it is another operator's"
        first = await api.post("/v1/accounts", json=body | {"credit_limit": "500"})
        same: list[dict[str, Any]] = [{}, {"credit_limit": None}, {"credit_limit": "500.00"}]
        again = [await api.post("/v1/accounts", json=body | limit) for limit in same]
        other = await api.post("/v1/accounts", json=body | {"credit_limit": "0"})
        found = await api.get("/v1/accounts", params={"owner_id": body["owner_id"]})
    assert first.status_code == 201, first.text
    assert [one.status_code for one in again] == [200] * 3
    assert all(one.json() == first.json() for one in again)
    assert found.json()["items"] == [first.json()]
    assert other.status_code == 409, "a limit is never dropped without a word"
    assert other.json()["type"].endswith(":account-has-another-limit")
    assert first.json()["id"] in other.json()["detail"]
    assert first.json()["available"] == {"amount": "500", "currency": "EUR"}
    assert await standings(billing) == [(True, None)]


async def test_an_account_shows_its_money_and_what_moved_it(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "20.00"), bonus(account, "5"))
    async with staff(billing) as api:
        shown = (await api.get(f"/v1/accounts/{account}")).json()
        moved = (await api.get(f"/v1/accounts/{account}/journals")).json()["items"]
        held = (await api.get(f"/v1/accounts/{account}/holds")).json()
        own = await api.get(f"/v1/accounts/{BANK.account_id(billing.operator_id, 'EUR')}")
    assert [shown[name]["amount"] for name in ("balance", "bonus", "held", "available")] == [
        "20.00", "5", "0", "25.00",
    ]  # fmt: skip
    assert [(one["kind"], one["amount"]["amount"], one["bonus"]["amount"]) for one in moved] == [
        ("bonus", "0", "5"),
        ("top_up", "20.00", "0"),
    ]
    assert held == {"items": [], "next_cursor": None}
    assert own.status_code == 404  # the bank's is no customer's


async def test_a_blocked_account_may_not_charge_until_it_is_unblocked(billing: Billing) -> None:
    account = await opened(billing)
    async with staff(billing) as api:
        await api.post(f"/v1/accounts/{account}/block", json={"reason": "invoices unpaid"})
        blocked = (await api.get(f"/v1/accounts/{account}")).json()
        freed = await api.post(f"/v1/accounts/{account}/unblock", json={"reason": "paid"})
    seen = (blocked["state"], blocked["state_reason"], blocked["standing_reason"])
    assert seen == ("blocked", "invoices unpaid", "blocked")
    assert freed.json()["may_charge"] is True
    assert await standings(billing) == [(True, None), (False, "blocked"), (True, None)]


async def test_an_account_is_closed_once_nothing_is_in_it_and_opened_again(
    billing: Billing,
) -> None:
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "20.00"))
    path, why = f"/v1/accounts/{account}", {"reason": "moved away"}
    async with staff(billing) as api:
        full = await api.post(f"{path}/close", json=why)
        await booked(billing, top_up(account, "-20.00"))
        early = await api.post(f"{path}/reopen", json=why)
        closed = (await api.post(f"{path}/close", json=why)).json()
        refused = [
            await api.post(f"{path}/{what}", json=why) for what in ("block", "unblock", "close")
        ]
        again = (await api.post(f"{path}/reopen", json={"reason": "back"})).json()
    assert full.json()["type"].endswith(":account-in-use") and "20.00" in full.json()["detail"]
    assert early.json()["type"].endswith(":account-not-closed")
    assert (closed["state"], closed["state_reason"]) == ("closed", "moved away")
    assert (closed["may_charge"], closed["standing_reason"]) == (False, "closed")
    assert [one.json()["type"].rpartition(":")[2] for one in refused] == ["account-closed"] * 3
    assert (again["state"], again["standing_reason"]) == ("open", "no_credit")
    last = (await standings(billing))[-2:]
    assert last == [(False, "closed"), (False, "no_credit")]


async def test_money_and_sessions_that_come_late_are_booked_to_a_closed_account(
    billing: Billing,
) -> None:
    account = await opened(billing, **WALLET)
    path = f"/v1/accounts/{account}"
    async with staff(billing) as api:
        await api.post(f"{path}/close", json={"reason": "moved away"})
        await booked(billing, top_up(account, "-3.00"))
        owed = (await api.get(path)).json()
        refused = await api.post(f"{path}/close", json={"reason": "still"})
    assert (owed["state"], owed["balance"]["amount"]) == ("closed", "-3.00")
    assert refused.status_code == 409


@pytest.mark.parametrize("after_it", [False, True])
async def test_a_chargeback_is_not_forgotten_by_closing(billing: Billing, after_it: bool) -> None:
    account = await opened(billing, **WALLET)

    async def charged_back() -> None:
        async with booking(billing) as db:
            await accounts.block(db, account, "charged back", chargeback=True)

    async with staff(billing) as api:
        if not after_it:
            await charged_back()
        await api.post(f"/v1/accounts/{account}/close", json={"reason": "moved away"})
        if after_it:
            await charged_back()
            assert (await api.get(f"/v1/accounts/{account}")).json()["state"] == "closed"
        again = await api.post(f"/v1/accounts/{account}/reopen", json={"reason": "back"})
    assert again.json()["state"] == "blocked"
    assert again.json()["standing_reason"] == "chargeback"


async def test_a_credit_limit_is_changed_with_a_reason_and_tells_at_once(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    path = f"/v1/accounts/{account}"
    async with staff(billing) as api:
        tag = (await api.get(path)).headers["ETag"]
        change: dict[str, Any] = {"credit_limit": "30", "reason": "a good customer"}
        without = await api.patch(path, json={"credit_limit": "30"}, headers={"If-Match": tag})
        changed = await api.patch(path, json=change, headers={"If-Match": tag})
        stale = await api.patch(path, json=change, headers={"If-Match": tag})
        below = {"credit_limit": "-1", "reason": "x"}
        wrong = await api.patch(path, json=below, headers={"If-Match": "*"})
    assert [one.status_code for one in (without, changed, stale, wrong)] == [422, 200, 412, 422]
    assert changed.json()["limit_reason"] == "a good customer"
    assert changed.json()["available"]["amount"] == "30"
    assert await standings(billing) == [(False, "no_credit"), (True, None)]


async def test_a_limit_that_is_raised_while_money_goes_is_judged_by_what_is_left(
    billing: Billing,
) -> None:
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "-50"))
    path, change = f"/v1/accounts/{account}", {"credit_limit": "100", "reason": "x"}
    async with staff(billing) as api, asyncio.TaskGroup() as group:
        async with booking(billing) as db:
            await post(db, billing.operator_id, top_up(account, "-80"))
            patch = api.patch(path, json=change, headers={"If-Match": "*"})
            changing = group.create_task(patch)
            await asyncio.sleep(0.5)
            assert not changing.done(), "it waits for what is being booked"
        answer = await changing
    assert answer.json()["available"]["amount"] == "-30"
    assert answer.json()["standing_reason"] == "no_credit"


async def test_below_the_minimum_no_session_is_begun(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "4.99"))
    async with staff(billing) as api:
        body = {"minimum": "5", "reason": "too small"}
        headers = {"If-Match": "*"}
        answer = await api.patch(f"/v1/accounts/{account}", json=body, headers=headers)
    assert answer.json()["standing_reason"] == "no_credit"
    await booked(billing, top_up(account, "0.01"))
    assert (await standings(billing))[-1] == (True, None)


async def test_a_driver_sees_their_own_account_and_nobody_elses(billing: Billing) -> None:
    user_id = uuid7()
    account, other = await opened(billing, user_id), await opened(billing)
    await booked(billing, top_up(account, "7"), top_up(other, "8"))

    def driver(user: UUID) -> httpx.AsyncClient:
        claims = {"role": "driver", "user_id": str(user)}
        return billing.as_(billing.operator_id, "me:read", **claims)

    async with driver(user_id) as api:
        mine = (await api.get("/v1/me/accounts")).json()["items"]
        moved = (await api.get(f"/v1/me/accounts/{account}/journals")).json()["items"]
        theirs = await api.get(f"/v1/me/accounts/{other}/journals")
        as_staff = await api.get(f"/v1/accounts/{account}")
    assert [one["id"] for one in mine] == [str(account)]
    assert [one["amount"]["amount"] for one in moved] == ["7"]
    assert (theirs.status_code, as_staff.status_code) == (404, 403)


async def test_another_operators_account_is_not_there(billing: Billing) -> None:
    account = await opened(billing)
    async with billing.as_(uuid7(), *BOTH) as api:
        read = await api.get(f"/v1/accounts/{account}")
        block = await api.post(f"/v1/accounts/{account}/block", json={"reason": "x"})
        listed = await api.get("/v1/accounts")
    assert (read.status_code, block.status_code, listed.json()["items"]) == (404, 404, [])
