"""Erased people: their records stay to the cent, without the token that names them."""

from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from stack import eventually

from billing.privacy import sweep_once
from common.events import (
    ErasureReported,
    OperatorChanged,
    PersonErased,
    PersonsCard,
    RetentionReported,
)
from common.ids import uuid7
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
