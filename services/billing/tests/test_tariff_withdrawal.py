"""A tariff that is not valid yet is taken back."""

from datetime import timedelta

from stack import eventually

from common.clock import now
from common.events import TariffChanged
from common.ids import uuid7

from .conftest import Billing
from .strategy_place import SCOPES

SOON = timedelta(hours=1)


async def test_a_withdrawn_tariff_never_is_valid_and_another_may_take_its_moment(
    billing: Billing,
) -> None:
    soon = (now() + SOON).isoformat()
    first = await billing.tariff()
    mistaken = await billing.tariff(valid_from=soon, energy_price="4.90")
    assert (await billing.withdraw(mistaken["id"])).status_code == 204
    shown = await billing.get(f"tariffs/{mistaken['id']}")
    assert shown["withdrawn_at"] is not None
    assert shown == mistaken | {"withdrawn_at": shown["withdrawn_at"]}
    right = await billing.tariff(valid_from=soon, energy_price="0.59")
    before, after = (
        billing.started(started_at=now() + about)
        for about in (SOON - timedelta(minutes=1), 2 * SOON)
    )
    await billing.handle(before, after)
    kept = [await billing.get(f"sessions/{one.session_id}") for one in (before, after)]
    assert [one["tariff_id"] for one in kept] == [first["id"], right["id"]]


async def test_it_is_withdrawn_once_and_that_is_told(billing: Billing) -> None:
    tariff = await billing.tariff(valid_from=(now() + SOON).isoformat())
    for _ in range(2):
        assert (await billing.withdraw(tariff["id"])).status_code == 204

    async def told() -> bool:
        return [one["withdrawn"] for one in await billing.told(TariffChanged)] == [False, True]

    await eventually(told)
    refused = await billing.withdraw(uuid7())
    assert refused.status_code == 404


async def test_a_tariff_that_is_valid_stays(billing: Billing) -> None:
    tariff = await billing.tariff()
    refused = await billing.withdraw(tariff["id"])
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:openlade:problem:tariff-is-valid"
    assert (await billing.get(f"tariffs/{tariff['id']}"))["withdrawn_at"] is None


async def test_a_session_that_has_a_withdrawn_tariff_keeps_it(billing: Billing) -> None:
    await billing.tariff()
    tariff = await billing.tariff(valid_from=(now() + SOON).isoformat(), energy_price="0.10")
    ahead = billing.started(started_at=now() + 2 * SOON)
    await billing.handle(ahead)
    assert (await billing.withdraw(tariff["id"])).status_code == 204
    ended = billing.ended(session_id=ahead.session_id)
    await billing.handle(ended)
    record = await billing.record(ahead.session_id)
    assert record is not None and record["tariff_id"] == tariff["id"]


async def test_what_a_strategy_has_its_price_from_is_not_withdrawn(billing: Billing) -> None:
    begins = now() + SOON
    agreed = {"agreed_only": True, "name": "club"}
    first = await billing.tariff(**agreed, valid_from=begins.isoformat())
    later = await billing.tariff(
        **agreed, series_id=first["series_id"], valid_from=(begins + SOON).isoformat()
    )
    place = {"place": {"kind": "everywhere"}, "tariff_id": later["id"]}
    from_then_on = place | {"valid_from": (begins + timedelta(days=2)).date().isoformat()}
    strategy = {
        "name": "members",
        "method": "monthly",
        "currency": "EUR",
        "tariffs": [from_then_on],
    }
    async with billing.as_(billing.operator_id, *SCOPES) as staff:
        made = await staff.post("/v1/accounting-strategies", json=strategy)
        assert made.status_code == 201, made.text
        refused = await billing.withdraw(first["id"])
        assert refused.json()["type"] == "urn:openlade:problem:tariff-needed"
        assert "the strategy members" in refused.json()["detail"]
        # The first one gives the price on, so the one that is named may go.
        assert (await billing.withdraw(later["id"])).status_code == 204
        at = f"/v1/accounting-strategies/{made.json()['id']}"
        etag = {"If-Match": made.headers["etag"]}
        changed = await staff.patch(at, json={"name": "club"}, headers=etag)
        assert changed.status_code == 200, changed.text


async def test_a_withdrawn_tariff_is_named_by_nobody(billing: Billing) -> None:
    tariff = await billing.tariff(agreed_only=True, valid_from=(now() + SOON).isoformat())
    assert (await billing.withdraw(tariff["id"])).status_code == 204
    place = {"place": {"kind": "everywhere"}, "tariff_id": tariff["id"]}
    strategy = {"name": "members", "method": "monthly", "currency": "EUR", "tariffs": [place]}
    async with billing.as_(billing.operator_id, *SCOPES) as staff:
        refused = await staff.post("/v1/accounting-strategies", json=strategy)
    assert refused.status_code == 422
    assert "has been withdrawn" in refused.json()["detail"]


async def test_a_withdrawn_first_tariff_binds_no_currency(billing: Billing) -> None:
    francs = await billing.tariff(currency="CHF", valid_from=(now() + SOON).isoformat())
    assert (await billing.withdraw(francs["id"])).status_code == 204
    assert (await billing.tariff(valid_from=None))["currency"] == "EUR"
