"""Erased people: their records stay to the cent, without the token that names them."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import asyncpg
import pytest
from stack import eventually

from billing.privacy import sweep_once
from common.events import (
    ErasureReported,
    OperatorChanged,
    PersonalDataCollected,
    PersonalDataRequested,
    PersonErased,
    PersonsCard,
    RetentionReported,
)
from common.ids import uuid7
from services.billing.tests.booking import balance, booked, opened, top_up
from services.billing.tests.conftest import START, Billing


async def test_a_session_that_ends_after_its_driver_was_erased_is_found(billing: Billing) -> None:
    await billing.tariff()
    card = uuid7()
    start = billing.started(card_id=card)
    await billing.handle(start)
    cards = (PersonsCard(card_id=card, uid=start.id_token),)
    erased = PersonErased(
        operator_id=billing.operator_id, request_id=uuid4(), user_id=uuid4(), cards=cards
    )
    await billing.handle(erased)
    [report] = await eventually(lambda: billing.told(ErasureReported))
    assert report["changed"] == {"sessions": 0, "records": 0}
    await billing.handle(billing.ended(session_id=start.session_id, card_id=card))
    before = await billing.record(start.session_id)
    assert before and before.pop("id_token") == start.id_token
    await sweep_once(billing.app.state.connections)
    after = await billing.record(start.session_id)
    assert after and after.pop("id_token").startswith("ERASED-")
    assert after == before


async def test_a_person_is_told_of_their_accounts_and_the_books_outlive_them(
    billing: Billing,
) -> None:
    person, card = uuid7(), PersonsCard(card_id=uuid7(), uid="04A2B3C4")
    account, other = await opened(billing, person), await opened(billing)
    await booked(billing, top_up(account, "12.30"), top_up(other, "1"))
    async with billing.as_(billing.operator_id, "accounts:write") as api:
        for one in (account, other):
            reason = {"reason": "Mrs Doe does not pay"}
            await api.post(f"/v1/accounts/{one}/block", json=reason)
    asked = {"operator_id": billing.operator_id, "request_id": uuid4(), "user_id": person}
    await billing.handle(PersonalDataRequested.model_validate(asked | {"cards": (card,)}))
    told = await eventually(lambda: billing.told(PersonalDataCollected))
    files = {one["file"]: one["rows"] for one in told}
    assert [row["state_reason"] for row in files["accounts"]] == ["Mrs Doe does not pay"]
    assert [row["amount"] for row in files["account_movements"]] == ["12.30"]
    await billing.handle(PersonErased.model_validate(asked | {"cards": (card,)}))
    [report] = await eventually(lambda: billing.told(ErasureReported))
    assert report["changed"] == {"sessions": 0, "records": 0, "accounts": 1}
    query = "select state_reason from account where id = any($1) order by id = $2"
    rows = await billing.stored(query, [account, other], account)
    assert [row["state_reason"] for row in rows] == ["Mrs Doe does not pay", None]
    assert (await balance(billing, account))[0] == Decimal("12.30")


async def test_tokens_are_kept_as_long_as_the_operator_says(billing: Billing) -> None:
    await billing.tariff()
    operator = OperatorChanged(
        operator_id=billing.operator_id, version=1, name="x", time_zone="UTC", currency="EUR",
        personal_data_days=90,
    )  # fmt: skip
    old, young = billing.ended(), billing.ended()
    recently = operator.occurred_at - timedelta(days=89)
    young = young.model_copy(
        update={"started_at": recently, "ended_at": recently + timedelta(hours=1)}
    )
    assert operator.occurred_at - START > timedelta(days=100)
    await billing.handle(operator, old, young)
    await sweep_once(billing.app.state.connections)
    forgotten, kept = await billing.record(old.session_id), await billing.record(young.session_id)
    assert forgotten and forgotten["id_token"].startswith("ERASED-")
    assert kept and kept["id_token"] == young.id_token
    [report] = await eventually(lambda: billing.told(RetentionReported))
    assert report["changed"] == {"sessions": 1, "records": 1}


async def test_the_service_may_change_nothing_of_a_record_but_forget_its_token(
    billing: Billing,
) -> None:
    await billing.tariff()
    end = billing.ended()
    await billing.handle(end)
    url = str(billing.app.state.parts.settings.database_url)
    settings = {"search_path": "billing", "role": "csms_billing", "csms.operator": str(uuid4())}
    db = await asyncpg.connect(url, server_settings=settings)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await db.execute("update record set id_token = 'X'")
    # As another operator: the function has the wall in it.
    assert await db.fetchval("select erase_record_tokens($1)", [end.session_id]) == 0
    await db.close()
    kept = await billing.record(end.session_id)
    assert kept and kept["id_token"] == end.id_token
