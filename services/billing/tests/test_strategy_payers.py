"""Whose account a strategy bills: opened in time, with limits that follow the strategy."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from billing import tables
from billing.pricing.payers import account_of, follow
from common import single
from services.billing.tests.booking import booking
from services.billing.tests.conftest import Billing
from services.billing.tests.strategy_place import Place, placed


@pytest.fixture
async def place(billing: Billing) -> AsyncIterator[Place]:
    async with placed(billing) as found:
        yield found


async def accounts(place: Place) -> list[dict[str, Any]]:
    answer = await place.staff.get("/v1/accounts")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def limit(account: dict[str, Any]) -> str | None:
    found = account["credit_limit"]
    return found["amount"] if found else None


async def test_the_account_is_there_before_the_first_session(place: Place) -> None:
    prepaid = await place.strategy("P", method="prepaid", minimum_balance="5.00", tariffs=[])
    await place.give(prepaid, "user", place.user)
    [account] = await accounts(place)
    assert (account["owner_kind"], account["owner_id"]) == ("user", str(place.user))
    assert (limit(account), account["minimum"]["amount"]) == ("0", "5.00")
    assert account["strategy_id"] == prepaid


async def test_a_session_is_billed_to_who_pays_by_its_strategy(place: Place) -> None:
    of_card = await place.strategy("card", method="per_session", tariffs=[])
    await place.give(await place.strategy("rest", tariffs=[]), "everybody")
    carrying = {"user_id": place.user, "accounting_strategy_id": UUID(of_card)}
    found = set()
    for card, holder in (
        (place.card, carrying),
        (place.card, {"user_id": place.user}),
        (place.company_card, {"company_id": place.company}),
    ):
        record = await place.charged(card, **holder)
        found.add(record["account_id"])
    owners = {one["id"]: (one["owner_kind"], one["owner_id"]) for one in await accounts(place)}
    assert found == set(owners)
    assert set(owners.values()) == {
        ("card", str(place.card)), ("user", str(place.user)), ("company", str(place.company)),
    }  # fmt: skip
    assert {limit(one) for one in await accounts(place)} == {None}
    for nobody in (
        await place.charged(),
        await place.charged(place.card, partner_id=place.partner),
    ):
        assert nobody["account_id"] is None


async def test_another_strategy_brings_its_limits(place: Place) -> None:
    monthly = await place.strategy("M", credit_limit="500.00", tariffs=[])
    prepaid = await place.strategy("P", method="prepaid", credit_limit="2.00", tariffs=[])
    given = await place.give(monthly, "user", place.user)
    await place.charged(place.card, user_id=place.user)
    [account] = await accounts(place)
    assert limit(account) == "500.00"
    path = f"/v1/strategy-assignments/{given['id']}"
    await place.staff.patch(path, json={"strategy_id": prepaid}, headers={"If-Match": '"1"'})
    [account] = await accounts(place)
    assert (limit(account), account["strategy_id"]) == ("2.00", prepaid)


async def test_limits_follow_the_strategy_but_for_those_that_staff_set(place: Place) -> None:
    strategy = await place.strategy("S", method="prepaid", credit_limit="2.00", tariffs=[])
    await place.give(strategy, "user", place.user)
    await place.give(strategy, "company", place.company)
    [own] = [one for one in await accounts(place) if one["owner_kind"] == "company"]
    answer = await place.staff.patch(
        f"/v1/accounts/{own['id']}",
        json={"credit_limit": "100.00", "reason": "good customer"},
        headers={"If-Match": "*"},
    )
    assert answer.status_code == 200, answer.text
    change = {"credit_limit": "3.00", "minimum_balance": "1.00"}
    path = f"/v1/accounting-strategies/{strategy}"
    changed = await place.staff.patch(path, json=change, headers={"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    found = {one["owner_kind"]: (limit(one), one["may_charge"]) for one in await accounts(place)}
    # With a credit of 3.00 there is enough for the minimum of 1.00.
    assert found == {"user": ("3.00", True), "company": ("100.00", True)}


async def test_an_account_that_is_opened_amid_a_change_follows_it(place: Place) -> None:
    strategy = await place.strategy("S", tariffs=[])
    async with booking(place.billing) as db:
        row = await db.get_one(tables.AccountingStrategy, UUID(strategy))
        await account_of(db, row, "user", place.user)
        changing = asyncio.ensure_future(
            place.staff.patch(
                f"/v1/accounting-strategies/{strategy}",
                json={"method": "prepaid", "payment_method": "wallet"},
                headers={"If-Match": "*"},
            )
        )
        # Long enough for it to be done with, if it does not wait.
        await asyncio.wait({changing}, timeout=0.5)
    changed = await changing
    assert changed.status_code == 200, changed.text
    [account] = await accounts(place)
    assert (limit(account), account["strategy_id"]) == ("0", strategy)


async def test_a_session_that_begins_amid_a_change_opens_its_account_as_changed(
    place: Place,
) -> None:
    strategy = await place.strategy("S", tariffs=[])
    await place.give(strategy, "everybody")
    async with booking(place.billing) as db:
        change = {"method": "prepaid", "payment_method": "wallet"}
        row = await single.change(db, tables.AccountingStrategy, UUID(strategy), None, change)
        await follow(db, row)
        charging = asyncio.ensure_future(place.charged(place.card, user_id=place.user))
        await asyncio.wait({charging}, timeout=0.5)
    assert (await charging)["account_id"]
    [account] = await accounts(place)
    assert (limit(account), account["strategy_id"]) == ("0", strategy)


async def test_accounts_in_another_currency_follow_whether_it_is_prepaid(billing: Billing) -> None:
    async with placed(billing, tariff=False) as place:
        francs = await place.tariff("0.40", currency="CHF")
        everybodys = await place.strategy("francs", francs, currency="CHF")
        await place.give(everybodys, "everybody")
        limited = {"credit_limit": "9.00", "minimum_balance": "1.00"}
        strategy = await place.strategy("S", tariffs=[], **limited)
        await place.give(strategy, "user", place.user)
        record = await place.charged(place.card, user_id=place.user)
        assert record["total_gross"]["currency"] == "CHF"

        async def found() -> dict[str, tuple[str | None, str]]:
            there = await accounts(place)
            assert {one["strategy_id"] for one in there} == {strategy}
            return {
                one["minimum"]["currency"]: (limit(one), one["minimum"]["amount"]) for one in there
            }

        assert await found() == {"EUR": ("9.00", "1.00"), "CHF": (None, "0")}
        path = f"/v1/accounting-strategies/{strategy}"
        prepaid = {"method": "prepaid", "payment_method": "wallet", "credit_limit": "2.00"}
        for change, francs_limit in ((prepaid, "0"), ({"method": "monthly"}, None)):
            changed = await place.staff.patch(path, json=change, headers={"If-Match": "*"})
            assert changed.status_code == 200, changed.text
            assert await found() == {"EUR": ("2.00", "1.00"), "CHF": (francs_limit, "0")}
