"""Whoever shows a session to its driver is told by what it is charged."""

from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from billing import tables
from billing.session_prices import price_of
from billing.terms import Terms, to_json
from common.authorize import Holder
from common.events import SessionPriceSet
from common.ids import uuid7
from services.billing.tests.conftest import START, Billing


async def told(billing: Billing, count: int) -> list[dict[str, Any]]:
    found = await billing.told(SessionPriceSet)
    assert len(found) == count, found
    return found


def text(price: dict[str, Any], language: str = "en") -> list[str]:
    return [line["texts"][language] for line in price["lines"]]


async def test_the_price_is_told_when_the_session_begins_and_once(billing: Billing) -> None:
    tariff = await billing.tariff(time_price="0.01", start_fee="0.35")
    start = billing.started()
    await billing.handle(start)
    await billing.handle(start)
    (price,) = await told(billing, 1)
    assert price["session_id"] == str(start.session_id)
    assert (price["station_id"], price["evse_id"]) == ("CP-1", 1)
    assert (price["tariff_id"], price["method"]) == (tariff["id"], "none")
    assert price["free_of_charge"] is False
    assert price["prices"]["energy_price"] == "0.49"
    assert text(price) == [
        "0.49 EUR/kWh", "0.01 EUR/min", "0.35 EUR per session", "incl. 19 % VAT",
    ]  # fmt: skip
    assert text(price, "de")[0] == "0,49 EUR/kWh"
    await billing.handle(billing.ended(session_id=start.session_id))
    await told(billing, 1)


async def test_it_is_the_sessions_own_price_and_that_of_who_is_let_in_after_all(
    billing: Billing,
) -> None:
    await billing.tariff()
    refused = billing.started(token_status="Blocked")
    await billing.handle(refused)
    (first,) = await told(billing, 1)
    await billing.handle(
        billing.started(session_id=refused.session_id, holder=Holder(partner_id=uuid7()))
    )
    first_again, second = await told(billing, 2)
    assert first_again == first
    assert second["session_id"] == first["session_id"]
    assert second["occurred_at"] > first["occurred_at"]


async def test_what_costs_nothing_is_told_as_free(billing: Billing) -> None:
    await billing.tariff(energy_price="0.00")
    await billing.handle(billing.started())
    (price,) = await told(billing, 1)
    assert price["free_of_charge"] is True
    assert (price["prices"], text(price)) == (None, ["free of charge"])


async def test_sessions_that_waited_are_told_with_the_first_tariff_if_they_still_run(
    billing: Billing,
) -> None:
    running = billing.started()
    over = billing.ended(session_id=uuid7(), started_at=START + timedelta(minutes=1))
    await billing.handle(running, over)
    await told(billing, 0)
    await billing.tariff()
    (price,) = await told(billing, 1)
    assert price["session_id"] == str(running.session_id)


async def test_who_owes_the_vat_himself_is_told_the_net_price(billing: Billing) -> None:
    tariff = await billing.tariff(energy_price="0.595", start_fee="1.19")
    start = billing.started()
    await billing.handle(start)
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        session = await db.get_one(tables.Session, start.session_id)
        row = await db.get_one(tables.Tariff, UUID(tariff["id"]))
        session.terms = to_json(Terms(method="monthly", tax="reverse_charge"))
        price = price_of(session, row, ZoneInfo("Europe/Berlin"))
    assert text(price.model_dump(mode="json")) == [
        "0.50 EUR/kWh", "1.00 EUR per session", "VAT: reverse charge",
    ]  # fmt: skip
    assert price.prices is None, "stations would reckon with VAT"
