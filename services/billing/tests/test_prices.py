"""What would be paid here and why: the price that a session would have, and an example of it."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.clock import now
from common.events import TariffChanged
from common.ids import uuid7
from services.billing.tests.conftest import Billing
from services.billing.tests.strategy_place import Place, placed


@pytest.fixture
async def place(billing: Billing) -> AsyncIterator[Place]:
    async with placed(billing) as found:
        yield found


async def price(place: Place, **query: Any) -> dict[str, Any]:
    asked = {"station_id": place.station} | {name: str(value) for name, value in query.items()}
    answer = await place.staff.get("/v1/prices", params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_nobody_known_pays_the_operators_own_price(place: Place) -> None:
    found = await price(place)
    assert (found["source"], found["method"], found["payer"]) == ("ad_hoc", "none", None)
    assert [line["texts"]["en"] for line in found["tariff"]["lines"]] == [
        "0.49 EUR/kWh", "incl. 19 % VAT",
    ]  # fmt: skip
    example = found["example"]
    assert (example["energy_wh"], example["minutes"]) == (20_000, 60)
    assert example["total_gross"] == {"amount": "9.80", "currency": "EUR"}
    assert [step["source"] for step in found["steps"] if step["taken"]] == ["ad_hoc"]


async def test_what_is_said_is_what_a_session_is_charged(place: Place) -> None:
    """Of a card, as a user's; with a strategy, its tariff and its discount."""
    tariff = await place.tariff("0.30", time_price="0.05", start_fee="1.00")
    strategy = await place.strategy("S", tariff, tax="net")
    await place.give(strategy, "user", place.user)
    percent = {"name": "Tenth", "kind": "percent", "amount": "10", "strategy_id": strategy}
    made = await place.made("discounts", **percent)
    path = f"/v1/discounts/{made['id']}/activate"
    assert (await place.staff.post(path, headers={"If-Match": "*"})).status_code == 200
    for whose in ({"card_id": place.card}, {"user_id": place.user}):
        found = await price(place, **whose, energy_wh=10_000, minutes=120)
        assert (found["source"], found["method"], found["tax"]) == ("user", "monthly", "net")
        assert found["payer"] == {"kind": "user", "id": str(place.user)}
        assert (found["strategy_name"], found["tariff"]["id"]) == ("S", tariff)
        parts = [line["part"] for line in found["tariff"]["lines"]]
        assert parts == ["energy", "time", "session", "discount", "tax"]
        assert [one["id"] for one in found["modifiers"]] == [made["id"]]
    begins = datetime.fromisoformat(found["at"])
    times = {"started_at": begins, "ended_at": begins + timedelta(hours=2)}
    record = await place.charged(
        place.card, user_id=place.user, user_group_ids=(place.group,), times=times
    )
    assert record["total_gross"] == found["example"]["total_gross"]
    assert record["terms"]["why"] == found["why"]


async def test_asking_opens_no_account_and_tells_nothing(place: Place, billing: Billing) -> None:
    await place.give(await place.strategy("S", tariffs=[]), "everybody")
    before = len(await billing.told(TariffChanged))
    found = await price(place, card_id=place.card)
    assert found["payer"] == {"kind": "user", "id": str(place.user)}
    assert (await place.staff.get("/v1/accounts")).json()["items"] == []
    assert len(await billing.told(TariffChanged)) == before


async def test_without_a_tariff_it_says_so(billing: Billing) -> None:
    async with placed(Billing.of(billing), tariff=False) as place:
        found = await price(place)
        assert (found["tariff"], found["example"]) == (None, None)
        assert "Tariff: none is valid, so there is no price." in found["why"]


async def test_a_card_of_a_company_follows_it(place: Place) -> None:
    strategy = await place.strategy("Fleet", await place.tariff("0.20"), tax="reverse_charge")
    await place.give(strategy, "company", place.company)
    found = await price(place, card_id=place.company_card)
    assert (found["source"], found["tax"]) == ("company", "reverse_charge")
    assert found["payer"] == {"kind": "company", "id": str(place.company)}
    # 4.00 gross are 3.36 net, and nothing on top.
    assert found["example"]["total_gross"]["amount"] == "3.36"


async def test_who_or_what_is_not_there_is_refused(place: Place, billing: Billing) -> None:
    async with placed(Billing.of(billing)) as other:
        cases: list[tuple[dict[str, Any], str]] = [
            ({"station_id": "NOWHERE"}, "unknown-station"),
            ({"station_id": other.station}, "unknown-station"),
            ({"card_id": uuid7()}, "unknown-customer"),
            ({"card_id": other.card}, "unknown-customer"),
            ({"user_id": other.user}, "unknown-customer"),
            ({"user_id": place.user, "card_id": place.card}, "asked-for-card-and-user"),
        ]
        for query, problem in cases:
            asked = {"station_id": place.station} | {
                name: str(value) if isinstance(value, UUID) else value
                for name, value in query.items()
            }
            answer = await place.staff.get("/v1/prices", params=asked)
            assert answer.json()["type"].endswith(f":{problem}"), query
    nul = await place.staff.get("/v1/prices", params={"station_id": "\0"})
    assert nul.status_code == 422


async def test_a_discount_that_is_used_up_is_named_where_it_would_have_counted(
    place: Place,
) -> None:
    one_only = {"unit": "sessions", "size": "1", "per": "total"}
    kwh = {"unit": "kwh", "size": "5", "per": "total"}
    for name, quota in (("One only", one_only), ("Five kWh", kwh)):
        off = {"name": name, "kind": "percent", "amount": "10", "quota": quota}
        made = await place.made("discounts", **off)
        path = f"/v1/discounts/{made['id']}/activate"
        assert (await place.staff.post(path, headers={"If-Match": "*"})).status_code == 200
    before = await price(place)
    assert len(before["modifiers"]) == 2
    assert not [why for why in before["why"] if "nothing is left" in why]
    begins = datetime.fromisoformat(before["at"])
    times = {"started_at": begins, "ended_at": begins + timedelta(hours=2)}
    await place.charged(times=times)
    gone = [
        "“One only” does not apply: nothing is left of it.",
        "“Five kWh” does not apply: nothing is left of it.",
    ]
    found = await price(place)
    assert (found["modifiers"], found["why"][-2:]) == ([], gone)
    record = await place.charged(times=times)
    assert record["total_gross"]["amount"] == "4.90"
    assert record["terms"]["why"][-2:] == gone
    # Of nobody's concern where it would not count anyway.
    at = begins - timedelta(days=30)
    assert not [why for why in (await price(place, at=at))["why"] if "nothing is left" in why]


async def test_a_named_tariff_that_is_not_valid_yet_is_told_where_another_counts_instead(
    place: Place,
) -> None:
    first = now() - timedelta(hours=1)
    tariff = await place.tariff("0.20", valid_from=first.isoformat())
    strategy = await place.strategy("S", tariff)
    early = "is not valid yet when the session begins."
    times = {"started_at": first - timedelta(hours=2), "ended_at": first}
    for kind, holder in (("user", place.user), ("everybody", None)):
        given = await place.give(strategy, kind, holder)
        whose = {"user_id": place.user} if holder else {}
        assert (await price(place, **whose))["tariff"]["id"] == tariff
        found = await price(place, **whose, at=times["started_at"])
        said = [why for why in found["why"] if why.startswith("Tariff: ")]
        assert said == [
            f"Tariff: the strategy's for this place {early}",
            "Tariff: 'house', the operator's own.",
        ]
        record = await place.charged(place.card if holder else None, **whose, times=times)
        assert record["terms"]["why"] == found["why"]
        path = f"/v1/strategy-assignments/{given['id']}"
        await place.staff.delete(path, headers={"If-Match": '"1"'})
