"""Sessions with discounts and events, from the card to the record."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from stack import eventually

from billing import terms
from billing.rerating import Asked, rerate
from common.authorize import Holder
from common.clock import now
from common.events import (
    LocationChanged,
    OperatorChanged,
    PersonalDataCollected,
    PersonalDataRequested,
    PersonsCard,
    StationChanged,
)
from common.ids import uuid7
from services.billing.tests.conftest import Billing
from services.billing.tests.strategy_place import placed
from services.billing.tests.test_discount_quotas import FREE, grants, uses
from services.billing.tests.test_discounts import ANY, active, as_staff, people

BERLIN = ZoneInfo("Europe/Berlin")


async def charged(billing: Billing, *, wh: int = 20_000, **fields: Any) -> dict[str, Any]:
    """The record of a session that begins in a minute and lasts an hour."""
    at = fields.pop("started_at", now() + timedelta(minutes=1))
    same: dict[str, Any] = {"session_id": uuid7(), "started_at": at}
    same["station_id"] = fields.pop("station_id", f"CP-{billing.operator_id}")
    end = {"ended_at": at + timedelta(hours=1), "energy_wh": wh, "meter_stop_wh": 1000 + wh}
    await billing.handle(billing.started(**same | fields))
    await billing.handle(billing.ended(**same | end | fields))
    record = await billing.record(same["session_id"])
    assert record is not None
    return record


async def open_here(billing: Billing, location_zone: str = "Europe/Berlin") -> str:
    """An operator in Berlin with a tariff of 0.49, and a station."""
    of: dict[str, Any] = {"operator_id": billing.operator_id, "version": 1}
    station_id, location_id = f"CP-{billing.operator_id}", uuid7()
    await billing.handle(
        OperatorChanged(**of, name="O", time_zone="Europe/Berlin", currency="EUR"),
        LocationChanged(**of, location_id=location_id, name="L", time_zone=location_zone),
        StationChanged(
            **of, station_id=station_id, name="S", active=True, evses=(), location_id=location_id
        ),
    )
    await billing.tariff()
    return station_id


async def test_they_stack_absolute_ones_first_then_percentages(billing: Billing) -> None:
    """0.49 for 20 kWh, 0.05 off at the station, 10 % of the user, 5 % of the group."""
    station = await open_here(billing)
    user, group = uuid7(), uuid7()
    await people(billing, [user], [group])
    of_group = await active(
        billing, name="group", amount="5", people=[{"kind": "user_group", "id": str(group)}]
    )
    of_user = await active(
        billing, name="user", amount="10", people=[{"kind": "user", "id": str(user)}]
    )
    of_station = await active(
        billing, name="station", kind="absolute", amount="0.05", currency="EUR",
        places=[{"kind": "station", "id": station}],
    )  # fmt: skip
    record = await charged(billing, user_id=user, holder=Holder(user_group_ids=(group,)))
    assert record["total_gross"]["amount"] == "7.52"
    lines = [(one["modifier_id"], Decimal(one["amount"])) for one in record["lines"]]
    assert lines == [
        (None, Decimal("9.8")), (of_station["id"], Decimal(-1)),
        (of_group["id"], Decimal("-0.44")), (of_user["id"], Decimal("-0.836")),
    ]  # fmt: skip
    assert await grants(billing, of_user["id"]) == [("0", "0.836")]
    other = await charged(billing, user_id=uuid7())
    assert other["total_gross"]["amount"] == "8.80"


async def test_an_event_counts_for_the_part_of_a_session_that_lies_in_it(billing: Billing) -> None:
    """Free from 12 to 18: 12 kWh from 17:30 to 18:30; by the clock where the station stands."""
    for zone in ("Europe/Berlin", "Europe/Lisbon"):
        of = Billing.of(billing)
        await open_here(of, zone)
        tomorrow = (now() + timedelta(days=1)).date()
        await active(of, "price-events", **FREE, valid_from=f"{tomorrow}T12:00",
                     valid_until=f"{tomorrow}T18:00")  # fmt: skip
        half_past = datetime(
            tomorrow.year, tomorrow.month, tomorrow.day, 17, 30, tzinfo=ZoneInfo(zone)
        ).astimezone(UTC)
        record = await charged(of, wh=12_000, started_at=half_past)
        assert record["total_gross"]["amount"] == "2.94", zone
        [line] = [one for one in record["lines"] if one["kind"] == "event"]
        assert Decimal(line["amount"]) == Decimal("-2.94")
        # The hour before it begins, and a whole one within.
        noon = half_past - timedelta(hours=6)
        assert (await charged(of, started_at=noon))["total_gross"]["amount"] == "4.90"
        within = await charged(of, started_at=noon + timedelta(hours=2))
        assert within["total_gross"]["amount"] == "0.00"


async def test_one_of_a_strategy_is_for_its_sessions_alone(billing: Billing) -> None:
    async with placed(billing) as place:
        strategy = {"id": await place.strategy("S")}
        await place.give(strategy["id"], "user", place.user)
        of_it = await active(billing, name="of it", strategy_id=strategy["id"])
        assert of_it["strategy_id"] == strategy["id"]
        theirs = await charged(billing, user_id=place.user, card_id=place.card)
        others = await charged(billing, user_id=uuid7())
        assert (theirs["total_gross"]["amount"], others["total_gross"]["amount"]) == (
            "8.82", "9.80",
        )  # fmt: skip
        francs = {"name": "x", "kind": "price", "amount": "1", "currency": "CHF"}
        async with as_staff(billing) as staff:
            answer = await staff.post(
                "/v1/discounts", json=francs | {"strategy_id": strategy["id"]}
            )
            assert answer.json()["type"].endswith("discount-in-another-currency"), answer.text


async def test_who_runs_keeps_a_discount_that_is_ended(billing: Billing) -> None:
    station = await open_here(billing)
    one = await active(billing)
    at = now()
    same: dict[str, Any] = {"session_id": uuid7(), "started_at": at, "station_id": station}
    await billing.handle(billing.started(**same))
    async with as_staff(billing) as staff:
        path = f"/v1/discounts/{one['id']}/end"
        assert (await staff.post(path, json={}, headers=ANY)).status_code == 200
    await active(billing, name="too late", amount="50")
    await billing.handle(billing.ended(**same, ended_at=at + timedelta(hours=1)))
    record = await billing.record(same["session_id"])
    assert record and record["total_gross"]["amount"] == "4.41"
    assert (await charged(billing))["total_gross"]["amount"] == "4.90"


async def test_a_quota_is_shared_by_sessions_that_end_in_one_batch_and_at_one_moment(
    billing: Billing,
) -> None:
    station = await open_here(billing)
    one = await active(billing, **FREE, quota={"unit": "kwh", "size": "100", "per": "total"})
    at = now()
    ids = [uuid7() for _ in range(50)]
    facts: list[dict[str, Any]] = [
        {"session_id": each, "started_at": at, "station_id": station} for each in ids
    ]
    await billing.handle(*(billing.started(**fact) for fact in facts))
    ends = [
        billing.ended(**fact, ended_at=at + timedelta(hours=1), energy_wh=7000) for fact in facts
    ]
    # Some together in a transaction, all at once; each told twice.
    batches = [ends[start : start + 5] for start in range(0, 50, 5)]
    twice = [[one.model_copy(update={"id": uuid7()}) for one in batch] for batch in batches]
    results = await asyncio.gather(
        *(handled(billing, batch) for batch in batches + twice), return_exceptions=False
    )
    assert all(results)
    records = (await billing.get("records", limit=100))["items"]
    assert len(records) == 50
    # 350 kWh, 100 of them free.
    total = sum(Decimal(record["total_gross"]["amount"]) for record in records)
    assert total == Decimal("122.50")
    assert await uses(billing, one["id"]) == {"": 100_000}
    # Each keeps what it was priced with.
    asked = Asked(operator_id=billing.operator_id)
    found = [each async for each in rerate(billing.app.state.connections, asked, lambda told: None)]
    assert found == []
    late = [record for record in records if record["total_gross"]["amount"] == "3.43"]
    query = "select terms from record where id = $1"
    [row] = await billing.stored(query, UUID(late[0]["id"]))
    kept = terms.ADAPTER.validate_json(row["terms"])
    assert (len(late), kept.modifiers) == (35, ())
    assert kept.why[-1] == "“Ten” does not apply: nothing is left of it."


async def handled(billing: Billing, batch: list[Any]) -> bool:
    """A batch that meets another in the database comes again, as the consumer has it."""
    for _ in range(20):
        try:
            await billing.handle(*batch)
        except Exception as error:  # noqa: BLE001 - as the consumer: whatever it is, again
            last = error
        else:
            return True
    raise last


async def test_of_sessions_that_begin_as_many_have_it_as_there_are(billing: Billing) -> None:
    station = await open_here(billing)
    two = await active(
        billing, name="first two", **FREE, quota={"unit": "sessions", "size": "2", "per": "total"}
    )
    starts = [
        billing.started(session_id=uuid7(), started_at=now(), station_id=station) for _ in range(10)
    ]
    await asyncio.gather(*(billing.handle(start) for start in starts))
    found = await billing.stored(
        "select id, terms from session where operator_id = $1", billing.operator_id
    )
    have = [row for row in found if terms.ADAPTER.validate_json(row["terms"]).modifiers]
    assert (len(found), len(have)) == (10, 2)
    assert await uses(billing, two["id"]) == {"": 2}
    # One of them was a faulty contact: the next has its turn.
    start = next(one for one in starts if one.session_id == have[0]["id"])
    end = billing.ended(
        session_id=start.session_id, started_at=start.started_at, station_id=station,
        ended_at=start.started_at + timedelta(hours=1), energy_wh=10,
    )  # fmt: skip
    await billing.handle(end)
    assert await uses(billing, two["id"]) == {"": 1}
    assert (await charged(billing))["total_gross"]["amount"] == "0.00"
    assert (await charged(billing))["total_gross"]["amount"] == "9.80"


async def test_a_card_keeps_its_monthly_kwh_over_its_sessions(billing: Billing) -> None:
    await open_here(billing)
    user = uuid7()
    one = await active(billing, **FREE, quota={"unit": "kwh", "size": "30", "per": "user_month"})
    month_start = now().astimezone(BERLIN).replace(day=1) + timedelta(days=40)
    at = month_start.astimezone(UTC)
    costs = [
        (await charged(billing, user_id=user, started_at=at + timedelta(hours=hour)))["total_gross"]
        for hour in range(0, 6, 2)
    ]
    assert [cost["amount"] for cost in costs] == ["0.00", "4.90", "9.80"]
    assert await grants(billing, one["id"]) == [("20000", "9.8"), ("10000", "4.9")]


async def test_whoever_wants_their_data_gets_what_discounts_gave_them(billing: Billing) -> None:
    await open_here(billing)
    await active(billing)
    card = uuid7()
    record = await charged(billing, card_id=card)
    await charged(billing, card_id=uuid7())
    wanted = PersonalDataRequested(
        operator_id=billing.operator_id, request_id=uuid7(), user_id=uuid7(),
        cards=(PersonsCard(card_id=card, uid="04A2B3C4"),),
    )  # fmt: skip
    await billing.handle(wanted)
    parts = await eventually(lambda: billing.told(PersonalDataCollected))
    [rows] = [part["rows"] for part in parts if part["file"] == "discounts granted"]
    assert [(row["cause"], Decimal(str(row["amount"]))) for row in rows] == [
        (record["id"], Decimal("0.98"))
    ]


async def test_staff_of_some_locations_see_what_was_given_there(billing: Billing) -> None:
    await open_here(billing)
    elsewhere, location = f"CP-2-{billing.operator_id}", uuid7()
    there = StationChanged(
        operator_id=billing.operator_id, version=1, station_id=elsewhere, name="S", active=True,
        evses=(), location_id=location,
    )  # fmt: skip
    await billing.handle(there)
    one = await active(billing)
    await charged(billing)
    record = await charged(billing, station_id=elsewhere)
    async with as_staff(billing, locations=[str(location)]) as some:
        answer = await some.get(f"/v1/discounts/{one['id']}/grants")
    assert [each["cause"] for each in answer.json()["items"]] == [record["id"]]
    assert len(await grants(billing, one["id"])) == 2
