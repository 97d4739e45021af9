"""A payment provider on a socket that answers as Mollie's documentation of its API v2 says.

Payments, refunds and chargebacks as HAL+JSON, errors as HAL too, an idempotency key that is known
for an hour. It may lose its answers, or be away.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from stack import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = "test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM"
HAL = "application/hal+json"


def answer(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status, media_type=HAL)


def error(status: int, title: str, detail: str) -> Response:
    links = {"documentation": {"href": "https://docs.mollie.com", "type": "text/html"}}
    return answer({"status": status, "title": title, "detail": detail, "_links": links}, status)


class MollieServer:
    def __init__(self) -> None:
        self.url = ""
        self.payments: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, list[dict[str, Any]]] = {}
        self.chargebacks: dict[str, list[dict[str, Any]]] = {}
        self.calls: list[str] = []
        self.refuse_refunds = False
        # What happens to the next calls that change something, whoever looks at a payment then:
        # "away" answers 503, "lost" does it and never says so.
        self.trouble: list[str] = []
        self._keys: dict[str, dict[str, Any]] = {}
        self._numbers = count(1)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v2/methods", self._methods),
                Route("/v2/payments", self._create, methods=["POST"]),
                Route("/v2/payments/{id}", self._read),
                Route("/v2/payments/{id}/refunds", self._refund, methods=["POST"]),
            ]
        )

    # What customers and their banks do.

    def pay(self, payment_id: str, **changes: Any) -> None:
        self.payments[payment_id] |= {"status": "paid"} | changes

    def settle_refund(self, payment_id: str, status: str = "refunded") -> None:
        for one in self.refunds[payment_id]:
            one["status"] = status

    def refund_by_hand(self, payment_id: str, value: str) -> None:
        self.refunds[payment_id].append(self._new_refund(payment_id, value, None))

    def charge_back(self, payment_id: str, value: str) -> None:
        self.chargebacks[payment_id].append(
            {
                "resource": "chargeback",
                "id": f"chb_{next(self._numbers)}",
                "amount": {"currency": "EUR", "value": value},
                "settlementAmount": {"currency": "EUR", "value": f"-{value}"},
                "reason": {"code": "AC01", "description": "Account identifier incorrect"},
                "paymentId": payment_id,
                "createdAt": "2026-03-14T17:00:52.0Z",
                "reversedAt": None,
                "_links": {},
            }
        )

    def reverse(self, payment_id: str) -> None:
        for one in self.chargebacks[payment_id]:
            one["reversedAt"] = "2026-03-20T10:00:00+00:00"

    def forget_keys(self) -> None:
        """An hour later."""
        self._keys.clear()

    # The API.

    async def _asked(self, request: Request) -> tuple[str | None, Response | None]:
        """What trouble this call has, and what it is answered for that."""
        self.calls.append(f"{request.method} {request.url.path}")
        changes = request.method == "POST"
        trouble = self.trouble.pop(0) if self.trouble and changes else None
        if trouble == "away":
            return trouble, error(503, "Service Unavailable", "Try again later")
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return trouble, error(401, "Unauthorized Request", "Missing or invalid authentication")
        return trouble, None

    async def _methods(self, request: Request) -> Response:
        _, refused = await self._asked(request)
        return refused or answer({"count": 0, "_embedded": {"methods": []}, "_links": {}})

    async def _create(self, request: Request) -> Response:
        trouble, refused = await self._asked(request)
        if refused:
            return refused
        body = await request.json()
        key = request.headers["idempotency-key"]
        if key not in self._keys:
            amount = body["amount"]
            if amount["value"] != f"{float(amount['value']):.2f}" or not body["redirectUrl"]:
                return error(422, "Unprocessable Entity", "The amount is invalid")
            if float(amount["value"]) > 10_000:
                return error(422, "Unprocessable Entity", "The amount is higher than the maximum")
            payment_id = f"tr_{next(self._numbers)}"
            self._keys[key] = self.payments[payment_id] = {
                "resource": "payment",
                "id": payment_id,
                "mode": "test",
                "createdAt": "2026-03-02T09:13:37+00:00",
                "amount": amount,
                "description": body["description"],
                "method": None,
                "metadata": body["metadata"],
                "status": "open",
                "isCancelable": False,
                "expiresAt": "2026-03-02T09:28:37+00:00",
                "profileId": "pfl_QkEhN94Ba",
                "sequenceType": "oneoff",
                "redirectUrl": body["redirectUrl"],
                "webhookUrl": body.get("webhookUrl"),
            }
            self.refunds[payment_id] = []
            self.chargebacks[payment_id] = []
        if trouble == "lost":
            await asyncio.sleep(0)
            return Response(b"", 502)
        return answer(self._shown(self._keys[key]["id"]), 201)

    async def _read(self, request: Request) -> Response:
        _, refused = await self._asked(request)
        if refused:
            return refused
        payment_id = request.path_params["id"]
        if payment_id not in self.payments:
            return error(404, "Not Found", f"No payment exists with token {payment_id}.")
        shown = self._shown(payment_id)
        if embed := request.query_params.get("embed"):
            parts = {"refunds": self.refunds, "chargebacks": self.chargebacks}
            shown["_embedded"] = {one: parts[one][payment_id] for one in embed.split(",")}
        return answer(shown)

    def _shown(self, payment_id: str) -> dict[str, Any]:
        payment = self.payments[payment_id]
        href = f"https://api.mollie.com/v2/payments/{payment_id}"
        links: dict[str, Any] = {"self": {"href": href, "type": HAL}}
        if payment["status"] == "open":
            checkout = f"https://www.mollie.com/checkout/select-method/{payment_id}"
            links["checkout"] = {"href": checkout, "type": "text/html"}
        return payment | {"_links": links}

    async def _refund(self, request: Request) -> Response:
        trouble, refused = await self._asked(request)
        if refused:
            return refused
        payment_id = request.path_params["id"]
        body = await request.json()
        if self.refuse_refunds:
            return error(422, "Unprocessable Entity", "Your balance is too low")
        key = request.headers["idempotency-key"]
        if key not in self._keys:
            new = self._new_refund(payment_id, body["amount"]["value"], body["metadata"])
            self._keys[key] = new
            self.refunds[payment_id].append(new)
        if trouble == "lost":
            return Response(b"", 502)
        return answer(self._keys[key], 201)

    def _new_refund(self, payment_id: str, value: str, metadata: Any) -> dict[str, Any]:
        return {
            "resource": "refund",
            "id": f"re_{next(self._numbers)}",
            "mode": "test",
            "amount": {"currency": "EUR", "value": value},
            "status": "pending",
            "createdAt": "2026-03-14T17:09:02.0Z",
            "description": "Order",
            "metadata": metadata,
            "paymentId": payment_id,
            "_links": {},
        }


@asynccontextmanager
async def mollie_server() -> AsyncIterator[MollieServer]:
    made = MollieServer()
    async with served(made.app()) as url:
        made.url = f"{url}/v2"
        yield made
