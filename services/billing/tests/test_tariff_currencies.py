"""The operator's own price and its strategies are in one currency, whichever is there first."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from billing import tables, tariffs
from common.authorize import Holder
from common.clock import now
from services.billing.tests.booking import booking
from services.billing.tests.conftest import Billing
from services.billing.tests.strategy_place import Place, placed

HOUSE: dict[str, Any] = {
    "name": "house", "vat_percent": "19", "energy_price": "0.49",
    "valid_from": "2026-01-01T00:00:00Z",
}  # fmt: skip
FRANCS: dict[str, Any] = HOUSE | {"currency": "CHF"}
EUROS: dict[str, Any] = HOUSE | {"currency": "EUR"}


@pytest.fixture
async def place(billing: Billing) -> AsyncIterator[Place]:
    """It has no tariff yet."""
    async with placed(billing, tariff=False) as found:
        yield found


async def patched(place: Place, strategy: str, **change: Any) -> tuple[int, str]:
    """The status, and the kind of problem."""
    path = f"/v1/accounting-strategies/{strategy}"
    answer = await place.staff.patch(path, json=change, headers={"If-Match": "*"})
    return answer.status_code, str(answer.json().get("type", "")).rpartition(":")[2]


async def test_a_session_that_waited_is_priced_in_the_currency_of_its_account(
    place: Place, billing: Billing
) -> None:
    await place.give(await place.strategy("S", tariffs=[]), "everybody")
    end = billing.ended(
        station_id=place.station, card_id=place.card, user_id=place.user, holder=Holder()
    )
    await billing.handle(end)
    assert await place.refused("tariffs", **FRANCS) == "tariff-in-another-currency"
    assert await billing.record(end.session_id) is None
    await place.made("tariffs", **FRANCS, agreed_only=True)
    await place.made("tariffs", **EUROS)
    record = await billing.record(end.session_id)
    assert record is not None
    assert (record["account_id"] is not None, record["total_gross"]["currency"]) == (True, "EUR")
    decision = {"verdict": "valid", "reason": "it waited for a price, no more"}
    decided = await billing.posted(f"reviews/{end.session_id}/decisions", decision)
    assert decided["verdict"] == "valid"


async def test_a_strategy_that_is_switched_off_holds_no_currency(place: Place) -> None:
    strategy = await place.strategy("S", tariffs=[], active=False)
    await place.made("tariffs", **FRANCS)
    assert await patched(place, strategy, name="T") == (200, "")
    refused = (422, "tariff-in-another-currency")
    assert await patched(place, strategy, active=True) == refused


async def test_the_operators_own_tariffs_stay_in_one_currency(place: Place) -> None:
    await place.made("tariffs", **FRANCS)
    next_one = EUROS | {"valid_from": (now() + timedelta(days=1)).isoformat()}
    assert await place.refused("tariffs", **next_one) == "series-in-other-currency"


async def test_a_strategy_is_in_the_currency_of_a_tariff_to_come(place: Place) -> None:
    later = {"valid_from": (now() + timedelta(days=1)).isoformat()}
    await place.made("tariffs", **FRANCS | later)
    strategy = {"name": "S", "method": "monthly", "currency": "EUR"}
    refused = await place.refused("accounting-strategies", **strategy)
    assert refused == "tariff-in-another-currency"
    await place.made("accounting-strategies", **strategy | {"currency": "CHF"})


async def test_a_first_tariff_waits_for_a_strategy_that_is_being_made(place: Place) -> None:
    async with booking(place.billing) as db:
        assert await tariffs.own_currency(db, place.operator_id) is None
        setting = asyncio.ensure_future(place.refused("tariffs", **FRANCS))
        # Long enough for it to be done with, if it does not wait.
        await asyncio.wait({setting}, timeout=0.5)
        made = tables.AccountingStrategy(
            operator_id=place.operator_id, name="S", active=True, method="monthly", currency="EUR",
            tax="as_tariff", payment_method="invoice", tariffs=[],
        )  # fmt: skip
        db.add(made)
    assert await setting == "tariff-in-another-currency"
