"""What tests of payments do: accounts with a wallet, a provider, top-ups, refunds."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from stack import eventually

from common.events import OperatorChanged
from common.ids import uuid7

from .booking import WALLET, balance, opened
from .conftest import Billing
from .mollie_server import KEY, MollieServer, mollie_server

SCOPES = ("payments:read", "payments:write", "accounts:read", "accounts:write")
IBAN = "DE89370400440532013000"


class Cashier:
    """Staff of an operator, at its payments."""

    def __init__(self, billing: Billing) -> None:
        self.billing = billing
        self.api = billing.as_(billing.operator_id, *SCOPES)

    async def post(self, path: str, key: str | None = None, /, **body: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key or uuid7().hex}
        return await self.api.post(f"/v1/{path}", json=body, headers=headers)

    async def made(self, path: str, key: str | None = None, /, **body: Any) -> dict[str, Any]:
        answer = await self.post(path, key, **body)
        assert answer.status_code in (200, 201), answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.api.get(f"/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def account(self) -> UUID:
        return await opened(self.billing, **WALLET)

    async def balance(self, account: UUID) -> tuple[str, str, str]:
        """Money, bonus, held."""
        money, bonus, held = await balance(self.billing, account)
        return f"{money:.2f}", f"{bonus:.2f}", f"{held:.2f}"

    async def cash(self, account: UUID, amount: str) -> dict[str, Any]:
        return await self.made(
            "topups", way="cash", account_id=str(account), amount=euros(amount), receipt="K-1",
            reason="at the counter",
        )  # fmt: skip

    async def online(
        self, account: UUID, amount: str, key: str | None = None, **more: Any
    ) -> httpx.Response:
        return await self.post(
            "topups", key, way="provider", account_id=str(account), amount=euros(amount),
            redirect_url="https://app.example/wallet", **more,
        )  # fmt: skip

    async def notify(self, topup: dict[str, Any]) -> None:
        answer = await self.billing.http.post(
            f"/v1/payment-notices/{topup['id']}", data={"id": topup["provider_payment_id"]}
        )
        assert answer.status_code == 200

    async def becomes(self, topup: dict[str, Any], **wanted: Any) -> dict[str, Any]:
        """Once the provider was asked; a notice makes that soon."""

        async def so() -> Any:
            await self.notify(topup)
            found = await self.get(f"topups/{topup['id']}")
            return found if found.items() >= wanted.items() else None

        found: dict[str, Any] = await eventually(so)
        return found

    async def operator(self, **more: Any) -> None:
        facts = {
            "operator_id": self.billing.operator_id,
            "version": 1,
            "name": "Ladewerke",
            "time_zone": "Europe/Berlin",
            "currency": "EUR",
            "legal_name": "Ladewerke GmbH",
            "iban": IBAN,
            "bic": "COBADEFFXXX",
        }
        await self.billing.handle(OperatorChanged.model_validate(facts | more))


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


@pytest.fixture
async def cashier(billing: Billing) -> AsyncIterator[Cashier]:
    made = Cashier(billing)
    yield made
    await made.api.aclose()


@pytest.fixture
async def mollie(cashier: Cashier) -> AsyncIterator[MollieServer]:
    """The operator's provider."""
    async with mollie_server() as server:
        body = {"kind": "mollie", "endpoint": server.url, "secret": KEY}
        answer = await cashier.api.put("/v1/payment-provider", json=body)
        assert answer.status_code == 200, answer.text
        server.calls.clear()
        yield server
