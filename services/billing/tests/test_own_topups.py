"""Drivers who ask to top up: what their account may until they have paid."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from common.ids import uuid7

from .booking import WALLET, opened
from .cashier import Cashier, cashier, euros, mollie
from .mollie_server import MollieServer
from .strategy_place import placed

__all__ = ["cashier", "mollie"]


async def asked_by(cashier: Cashier, user: UUID) -> httpx.Response:
    """A driver who asks to pay 25.00, and does not pay."""
    claims = {"role": "driver", "user_id": str(user)}
    body = {"amount": euros("25.00"), "redirect_url": "https://app.example/wallet"}
    operator_id = cashier.billing.operator_id
    async with cashier.billing.as_(operator_id, "me:read", "me:write", **claims) as app:
        key = {"Idempotency-Key": uuid7().hex}
        return await app.post("/v1/me/topups", json=body, headers=key)


@pytest.mark.parametrize(
    ("strategy", "limit", "may_charge"),
    [
        (None, None, True),
        ({"method": "free"}, None, True),
        ({"method": "monthly"}, None, True),
        ({"method": "monthly", "credit_limit": "300.00"}, "300.00", True),
        ({"method": "prepaid"}, "0", False),
    ],
)
async def test_who_asks_and_does_not_pay_has_the_limits_of_their_strategy(
    cashier: Cashier,
    mollie: MollieServer,
    strategy: dict[str, Any] | None,
    limit: str | None,
    may_charge: bool,
) -> None:
    user = uuid7()
    async with placed(cashier.billing) as place:
        made = None
        if strategy is not None:
            made = await place.strategy("theirs", tariffs=[], **strategy)
            await place.give(made, "everybody")
    answer = await asked_by(cashier, user)
    assert answer.status_code == 201, answer.text
    [account] = (await cashier.get("accounts"))["items"]
    assert account["owner_id"] == str(user)
    assert (account["credit_limit"] or {}).get("amount") == limit
    assert account["may_charge"] is may_charge
    bills = strategy is not None and strategy["method"] != "free"
    assert account["strategy_id"] == (made if bills else None)


async def test_an_account_that_is_there_is_as_it_was_when_its_driver_asks(
    cashier: Cashier, mollie: MollieServer
) -> None:
    user = uuid7()
    await cashier.billing.tariff()
    account = await opened(cashier.billing, user, **WALLET)
    answer = await asked_by(cashier, user)
    assert answer.json()["account_id"] == str(account)
    assert (await cashier.get(f"accounts/{account}"))["credit_limit"]["amount"] == "0"


async def test_no_account_is_opened_where_nobody_can_pay_online(cashier: Cashier) -> None:
    await cashier.billing.tariff()
    answer = await asked_by(cashier, uuid7())
    assert answer.json()["type"].endswith(":no-payment-provider")
    assert (await cashier.get("accounts"))["items"] == []
