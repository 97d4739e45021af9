"""The payment provider Mollie, by its Payments API v2 (docs.mollie.com, read in November 2026).

Written after its documentation and tested against a server that answers as that says; it has not
been run against Mollie itself.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar

import orjson
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from billing.payments.provider import (
    PAYMENT_ID_PATTERN,
    Chargeback,
    NewPayment,
    NewRefund,
    Payment,
    PaymentStatus,
    ProviderFailed,
    ProviderRefused,
    Refund,
    RefundStatus,
    told_id,
)
from common.outbound import Answer, Outbound, OutboundFailed

ENDPOINT: Final = "https://api.mollie.com/v2"
TIMEOUT_S: Final = 10.0
BYTES_MAX: Final = 1_048_576
CENT: Final = Decimal("0.01")
SUCCESS: Final = range(200, 300)
# It has read what we want and will not do it. 401 and 403 are of the key, 404 may be; 409 says that
# the same is under way: what can be mended is asked again.
REFUSALS: Final = frozenset({400, 410, 422})

STATUSES: Final[Mapping[str, PaymentStatus]] = {
    "open": "open",
    "pending": "open",
    "authorized": "open",
    "paid": "paid",
    "failed": "failed",
    "canceled": "canceled",
    "expired": "expired",
}
REFUND_STATUSES: Final[Mapping[str, RefundStatus]] = {
    "queued": "asked",
    "pending": "asked",
    "processing": "asked",
    "refunded": "confirmed",
    "failed": "failed",
    "canceled": "failed",
}


class _Amount(BaseModel):
    currency: str = Field(pattern="^[A-Z]{3}$")
    value: Decimal = Field(ge=0, max_digits=15)


class _Reason(BaseModel):
    code: str = ""
    description: str = ""


class _Refund(BaseModel):
    id: str
    amount: _Amount
    status: Literal["queued", "pending", "processing", "refunded", "failed", "canceled"]
    metadata: Any = None


class _Chargeback(BaseModel):
    id: str
    amount: _Amount
    created_at: AwareDatetime = Field(alias="createdAt")
    reason: _Reason | None = None
    reversed_at: AwareDatetime | None = Field(default=None, alias="reversedAt")


class _Embedded(BaseModel):
    refunds: list[_Refund] = []
    chargebacks: list[_Chargeback] = []


class _Link(BaseModel):
    href: str = Field(max_length=2000, pattern=r"^https?://[!-~]+$")


class _Links(BaseModel):
    checkout: _Link | None = None


class _Payment(BaseModel):
    id: str = Field(pattern=PAYMENT_ID_PATTERN)
    status: Literal["open", "pending", "authorized", "paid", "failed", "canceled", "expired"]
    amount: _Amount
    metadata: Any = None
    links: _Links = Field(default=_Links(), alias="_links")
    embedded: _Embedded = Field(default=_Embedded(), alias="_embedded")


class _Error(BaseModel):
    title: str = ""
    detail: str = ""


Told = TypeVar("Told", bound=BaseModel)


class Mollie:
    """key: an API key of the operator's, live_… or test_…"""

    def __init__(self, calls: Outbound, endpoint: str, key: str, *, allow_private: bool) -> None:
        self._calls = calls
        self._endpoint = endpoint.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}", "accept": "application/hal+json"}
        self._limits: dict[str, Any] = {
            "timeout_s": TIMEOUT_S,
            "bytes_max": BYTES_MAX,
            "allow_private": allow_private,
        }

    async def check(self) -> None:
        await self._get("/methods")

    async def create(self, new: NewPayment) -> Payment:
        body: dict[str, Any] = {
            "amount": _money(new.amount, new.currency),
            "description": new.description,
            "redirectUrl": new.redirect_url,
            "metadata": {"topup_id": str(new.topup_id)},
        }
        if new.notice_url is not None:
            body["webhookUrl"] = new.notice_url
        answer = await self._post("/payments", body, f"topup-{new.topup_id}")
        return _payment(_parsed(_Payment, answer))

    async def look(self, payment_id: str) -> Payment:
        answer = await self._get(f"/payments/{payment_id}?embed=refunds,chargebacks")
        found = _payment(_parsed(_Payment, answer))
        if found.id != payment_id:
            raise ProviderFailed(f"Mollie was asked for {payment_id} and told of {found.id}.")
        return found

    async def refund(self, payment_id: str, new: NewRefund) -> Refund:
        body = {
            "amount": _money(new.amount, new.currency),
            "description": new.description,
            "metadata": {"refund_id": str(new.refund_id)},
        }
        path = f"/payments/{payment_id}/refunds"
        answer = await self._post(path, body, f"refund-{new.refund_id}")
        return _refund(_parsed(_Refund, answer))

    async def _get(self, path: str) -> Answer:
        try:
            answer = await self._calls.get(self._endpoint + path, self._headers, **self._limits)
        except OutboundFailed as error:
            raise ProviderFailed(error.why) from error
        return _successful(answer)

    async def _post(self, path: str, body: dict[str, Any], key: str) -> Answer:
        # Mollie keeps the key for an hour; asked with it again it answers as the first time.
        headers = self._headers | {"idempotency-key": key}
        try:
            answer = await self._calls.post_json(
                self._endpoint + path, orjson.dumps(body), headers, **self._limits
            )
        except OutboundFailed as error:
            raise ProviderFailed(error.why) from error
        return _successful(answer)


def _successful(answer: Answer) -> Answer:
    if answer.status in SUCCESS:
        return answer
    try:
        error = _Error.model_validate_json(answer.body)
    except ValidationError:
        error = _Error()
    words = ": ".join(one for one in (error.title, error.detail) if one) or "no words"
    kind = ProviderRefused if answer.status in REFUSALS else ProviderFailed
    raise kind(f"Mollie answered with the HTTP status {answer.status} ({words[:200]}).")


def _parsed(model: type[Told], answer: Answer) -> Told:
    try:
        return model.model_validate_json(answer.body)
    except ValidationError as error:
        # The names of what is wrong, not its values, which may be a customer's.
        where = ", ".join(".".join(map(str, one["loc"])) or "all" for one in error.errors()[:5])
        raise ProviderFailed(f"Mollie's answer is not as documented ({where}).") from error


def _payment(told: _Payment) -> Payment:
    return Payment(
        id=told.id,
        topup_id=told_id(told.metadata, "topup_id"),
        status=STATUSES[told.status],
        amount=told.amount.value,
        currency=told.amount.currency,
        checkout_url=told.links.checkout.href if told.links.checkout else None,
        refunds=tuple(map(_refund, told.embedded.refunds)),
        chargebacks=tuple(map(_chargeback, told.embedded.chargebacks)),
    )


def _refund(told: _Refund) -> Refund:
    return Refund(
        id=told.id,
        refund_id=told_id(told.metadata, "refund_id"),
        amount=told.amount.value,
        currency=told.amount.currency,
        status=REFUND_STATUSES[told.status],
    )


def _chargeback(told: _Chargeback) -> Chargeback:
    words = (told.reason.code, told.reason.description) if told.reason else ()
    return Chargeback(
        id=told.id,
        amount=told.amount.value,
        currency=told.amount.currency,
        reason=" ".join(one for one in words if one)[:200] or None,
        at=told.created_at,
        reversed=told.reversed_at is not None,
    )


def _money(amount: Decimal, currency: str) -> dict[str, str]:
    return {"currency": currency, "value": f"{amount.quantize(CENT):f}"}
