"""Whether the account that pays for a card may: told by billing, asked at each tap."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from nats.aio.client import Client
from stack import Running, eventually

from common.clock import now
from common.events import AccountStandingChanged, RecordClosed

from .support import ALL, made, told_strategy
from .test_authorizations import ask, gateway, priced

__all__ = ["gateway", "priced"]  # fixtures

SCOPES = (*ALL, "companies:read", "companies:write")


def told(
    operator: UUID, kind: str, owner: str, reason: str | None, version: int = 1, **more: Any
) -> AccountStandingChanged:
    body = {
        "operator_id": operator, "account_id": uuid4(), "owner_kind": kind, "owner_id": owner,
        "currency": "EUR", "may_charge": reason is None, "reason": reason, "version": version,
        "available": "0",
    }  # fmt: skip
    return AccountStandingChanged.model_validate(body | more)


async def answers(gateway: Client, operator: UUID, uid: str, status: str) -> str:
    """Why, once it is answered so."""

    async def there() -> str | None:
        answer = await ask(gateway, operator, uid)
        return answer.why if answer.status == status else None

    return str(await eventually(there))


async def handled(identity: Running, gateway: Client, operator: UUID) -> None:
    """What was published before is: this comes after it."""
    uid = uuid4().hex[:12].upper()
    async with identity.as_(operator, *SCOPES) as staff:
        user = await made(staff, "/v1/users", name="Last")
        await made(staff, "/v1/cards", uid=uid, user_id=user["id"])
    await identity.publish(told(operator, "user", user["id"], "no_credit"))
    await answers(gateway, operator, uid, "NoCredit")


@pytest.mark.parametrize(
    ("reason", "status", "why"),
    [
        ("no_credit", "NoCredit", "The account that pays has no credit left."),
        ("blocked", "Blocked", "The account that pays is blocked."),
        ("chargeback", "Blocked", "The account that pays is blocked: a payment was charged back."),
        ("closed", "Blocked", "The account that pays is closed."),
    ],
)
async def test_a_card_whose_users_account_may_not_pay_is_refused(
    identity: Running, gateway: Client, priced: UUID, reason: str, status: str, why: str
) -> None:
    uid = uuid4().hex[:12].upper()
    async with identity.as_(priced, *SCOPES) as staff:
        user = await made(staff, "/v1/users", name="Pia")
        await made(staff, "/v1/cards", uid=uid, user_id=user["id"])
    assert (await ask(gateway, priced, uid)).status == "Accepted", "nothing was told"
    account = {"account_id": uuid4()}
    await identity.publish(told(priced, "user", user["id"], reason, 2, **account))
    assert await answers(gateway, priced, uid, status) == why
    # Older news change nothing, newer ones do.
    await identity.publish(told(priced, "user", user["id"], None, 1, **account))
    await identity.publish(told(priced, "user", user["id"], None, 3, **account))
    await answers(gateway, priced, uid, "Accepted")
    await identity.publish(told(priced, "user", user["id"], reason, 2, **account))
    await handled(identity, gateway, priced)
    assert (await ask(gateway, priced, uid)).status == "Accepted"


async def test_a_company_pays_for_its_cards_and_a_card_with_a_strategy_for_itself(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    uids = [uuid4().hex[:12].upper() for _ in range(3)]
    async with identity.as_(priced, *SCOPES) as staff:
        user = await made(staff, "/v1/users", name="Pia")
        company = await made(staff, "/v1/companies", name="Acme")
        one = {"uid": uids[0], "user_id": user["id"], "company_id": company["id"]}
        await made(staff, "/v1/cards", **one)
        strategy = {"accounting_strategy_id": await told_strategy(identity, priced)}
        own = await made(staff, "/v1/cards", uid=uids[1], user_id=user["id"], **strategy)
        await made(staff, "/v1/cards", uid=uids[2], user_id=user["id"])
    await identity.publish(told(priced, "user", user["id"], "no_credit"))
    await answers(gateway, priced, uids[2], "NoCredit")
    assert [(await ask(gateway, priced, uid)).status for uid in uids[:2]] == ["Accepted"] * 2
    await identity.publish(told(priced, "company", company["id"], "no_credit"))
    await identity.publish(told(priced, "card", own["id"], "blocked"))
    await answers(gateway, priced, uids[0], "NoCredit")
    await answers(gateway, priced, uids[1], "Blocked")


async def test_of_several_currencies_one_that_can_pay_is_enough(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    uid = uuid4().hex[:12].upper()
    async with identity.as_(priced, *SCOPES) as staff:
        user = await made(staff, "/v1/users", name="Pia")
        await made(staff, "/v1/cards", uid=uid, user_id=user["id"])
    await identity.publish(told(priced, "user", user["id"], "no_credit"))
    await answers(gateway, priced, uid, "NoCredit")
    await identity.publish(told(priced, "user", user["id"], None, currency="CHF"))
    await answers(gateway, priced, uid, "Accepted")


async def test_another_operators_account_says_nothing(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    uid = uuid4().hex[:12].upper()
    async with identity.as_(priced, *SCOPES) as staff:
        user = await made(staff, "/v1/users", name="Pia")
        await made(staff, "/v1/cards", uid=uid, user_id=user["id"])
    await identity.publish(told(uuid4(), "user", user["id"], "no_credit"))
    await handled(identity, gateway, priced)
    assert (await ask(gateway, priced, uid)).status == "Accepted"


async def test_what_cancels_a_record_gives_its_amount_back_to_the_cap(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    uid = uuid4().hex[:12].upper()
    async with identity.as_(priced, *SCOPES) as staff:
        card = await made(staff, "/v1/cards", uid=uid, monthly_cap="10.00")
    record: dict[str, Any] = {
        "operator_id": priced, "session_id": uuid4(), "station_id": "CP-1", "evse_id": 1,
        "card_id": card["id"], "user_id": None, "started_at": now(), "ended_at": now(),
        "time_zone": "Europe/Berlin", "energy_wh": 1, "currency": "EUR", "total_net": "1",
        "vat": "1",
    }  # fmt: skip
    first = RecordClosed(**record, record_id=uuid4(), total_gross=Decimal("12.00"))
    await identity.publish(first)
    await answers(gateway, priced, uid, "Blocked")
    of = {"refers_to": first.record_id}
    kinds = (("cancellation", "-12.00"), ("correction", "9.99"))
    for kind, gross in kinds:
        more = {"kind": kind, "record_id": uuid4(), "total_gross": gross}
        await identity.publish(RecordClosed(**record | of | more))
    await answers(gateway, priced, uid, "Accepted")
