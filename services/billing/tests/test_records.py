import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from stack import eventually

from billing import tables
from billing.records.closing import close_records
from common.clock import now
from common.events import (
    Event,
    Incident,
    IncidentOpened,
    MeterSample,
    MeterValuesReported,
    OperatorChanged,
    RecordClosed,
)
from common.ids import uuid7
from services.billing.tests.conftest import START, Billing

OWN = {"id", "session_id", "closed_at"}  # differ between sessions that are otherwise alike


async def test_an_ended_session_becomes_a_record_that_explains_its_price(billing: Billing) -> None:
    tariff = await billing.tariff(time_price="0.02", start_fee="0.35")
    user_id, card_id = uuid7(), uuid7()
    start = billing.started(user_id=user_id, card_id=card_id)
    end = billing.ended(session_id=start.session_id, user_id=user_id, card_id=card_id)
    await billing.publish(start, end)
    record = await eventually(lambda: billing.record(end.session_id))
    assert record["total_gross"] == {"amount": "7.65", "currency": "EUR"}
    assert record["total_net"] == {"amount": "6.43", "currency": "EUR"}
    assert record["vat"] == {"amount": "1.22", "currency": "EUR"}
    assert [(line["kind"], line["amount"]) for line in record["lines"]] == [
        ("energy", "4.9000"),
        ("time", "2.4000"),
        ("start", "0.3500"),
    ]
    snapshot = end.model_dump(mode="json", exclude={"id", "occurred_at", "incidents"})
    assert {name: record[name] for name in snapshot} == snapshot
    assert (record["tariff_id"], record["time_zone"]) == (tariff["id"], "Europe/Berlin")
    assert record["review"] == "none"
    assert await billing.get(f"records/{record['id']}") == record
    [told] = await eventually(lambda: billing.told(RecordClosed))
    assert (told["record_id"], told["total_gross"]) == (record["id"], "7.65")


def _story(billing: Billing) -> list[Event]:
    """All that is told of one session."""
    start = billing.started()
    end = billing.ended(
        session_id=start.session_id, incidents=[Incident(kind="clock", detail="off by an hour")]
    )
    sample = MeterSample(sampled_at=START, value="9000", unit="Wh")  # type: ignore[arg-type]
    meter = MeterValuesReported(reports=(billing.report(start.session_id, [sample]),))
    incident = IncidentOpened(
        operator_id=billing.operator_id,
        session_id=start.session_id,
        station_id="CP-1",
        incident=Incident(kind="stop_repeated", detail="at 11010 Wh"),
    )
    return [start, end, meter, incident]


async def test_any_order_and_any_repeats_give_the_same_record(billing: Billing) -> None:
    await billing.tariff(time_price="0.02", start_fee="0.35")
    for round_, order in enumerate(permutations(range(4))):
        story = _story(billing)
        events = [story[i] for i in order]
        # The same event again, and the same fact under a new id, in one batch or one by one.
        again = [*events, *(e.model_copy(update={"id": uuid7()}) for e in reversed(events))]
        if round_ % 2:
            await billing.handle(*again, *events)
        else:
            for event in again:
                await billing.handle(event)
    records = (await billing.get("records", limit=500))["items"]
    assert len(records) == 24
    first, *others = [{k: v for k, v in r.items() if k not in OWN} for r in records]
    assert (first["total_gross"]["amount"], first["review"]) == ("7.65", "pending")
    assert all(other == first for other in others)
    sessions = (await billing.get("sessions", limit=500))["items"]
    assert {(s["state"], s["energy_wh"], len(s["incidents"])) for s in sessions} == {
        ("ended", 10_000, 2)
    }

    async def all_told() -> bool:
        return len(await billing.told(RecordClosed)) >= 24

    await eventually(all_told)
    assert len(await billing.told(RecordClosed)) == 24, "told once each"


async def test_replicas_that_handle_the_same_end_at_once_make_one_record(billing: Billing) -> None:
    await billing.tariff()
    end = billing.ended()
    copies = [end.model_copy(update={"id": uuid7()}) for _ in range(8)]
    await asyncio.gather(*(billing.handle(copy) for copy in copies))
    assert await billing.record(end.session_id)


async def test_closing_a_closed_session_again_changes_and_tells_nothing(billing: Billing) -> None:
    tariff = await billing.tariff()
    end = billing.ended()
    await billing.handle(end)
    record = await billing.record(end.session_id)
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        session = await db.get_one(tables.Session, end.session_id)
        by = await db.get_one(tables.Tariff, UUID(tariff["id"]))
        await close_records(db, [session], by)
    assert await billing.record(end.session_id) == record
    after = billing.ended()
    await billing.handle(after)

    async def both_told() -> bool:
        return len(await billing.told(RecordClosed)) >= 2

    await eventually(both_told)
    told = [body["session_id"] for body in await billing.told(RecordClosed)]
    assert told == [str(end.session_id), str(after.session_id)]


async def test_a_price_raised_mid_session_does_not_touch_it(billing: Billing) -> None:
    old = await billing.tariff(energy_price="0.49")
    start = billing.started(started_at=now() - timedelta(hours=1))
    await billing.handle(start)
    new = await billing.tariff(energy_price="0.99", valid_from=None)
    end = billing.ended(
        session_id=start.session_id,
        started_at=start.started_at,
        ended_at=now() + timedelta(hours=1),
    )
    next_one = billing.ended(started_at=now(), ended_at=now() + timedelta(hours=1))
    # An offline session of before the raise, told only now, and only by its end.
    offline = billing.ended(started_at=start.started_at, ended_at=now())
    await billing.handle(end, next_one, offline)
    for event, tariff, gross in (
        (end, old, "4.90"),
        (next_one, new, "9.90"),
        (offline, old, "4.90"),
    ):
        record = await billing.record(event.session_id)
        assert record
        assert (record["tariff_id"], record["total_gross"]["amount"]) == (tariff["id"], gross)


async def test_the_lock_of_the_start_holds_even_if_the_end_tells_another_start(
    billing: Billing,
) -> None:
    await billing.tariff(energy_price="0.49")
    start = billing.started(started_at=now() - timedelta(hours=1))
    await billing.handle(start)
    await billing.tariff(energy_price="0.99", valid_from=None)
    await billing.handle(
        billing.ended(
            session_id=start.session_id, started_at=now(), ended_at=now() + timedelta(hours=1)
        )
    )
    record = await billing.record(start.session_id)
    assert record
    assert record["total_gross"]["amount"] == "4.90"


async def test_without_a_tariff_a_session_waits_for_the_first_one_and_never_costs_0(
    billing: Billing,
) -> None:
    before, after = START - timedelta(hours=1), START + timedelta(hours=1)
    too_early = billing.ended(started_at=before)
    ended = [billing.ended(started_at=after, ended_at=after + timedelta(hours=1)) for _ in range(3)]
    running = billing.started(started_at=after)
    await billing.handle(too_early, *ended, running)
    shown = await billing.get(f"sessions/{ended[0].session_id}")
    assert [incident["kind"] for incident in shown["incidents"]] == ["no_tariff"]
    assert (shown["review"], shown["cost"]) == ("pending", None)
    assert (await billing.get("records"))["items"] == []
    tariff = await billing.tariff(valid_from=START.isoformat())
    for event in ended:
        record = await billing.record(event.session_id)
        assert record
        assert (record["total_gross"]["amount"], record["review"]) == ("4.90", "pending")
    assert (await billing.get(f"sessions/{running.session_id}"))["tariff_id"] == tariff["id"]
    assert await billing.record(too_early.session_id) is None
    assert len(await eventually(lambda: billing.told(RecordClosed))) == 3


async def test_a_first_tariff_set_while_a_session_arrives_misses_none(billing: Billing) -> None:
    for _ in range(6):
        billing.operator_id = uuid7()
        ends = [billing.ended() for _ in range(4)]
        await asyncio.gather(billing.tariff(), *(billing.handle(end) for end in ends))
        for end in ends:
            assert await billing.record(end.session_id)


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"energy_wh": None, "meter_stop_wh": None}, ["energy_unknown"]),
        ({"energy_wh": -5}, ["register_backwards"]),
        ({"ended_at": START - timedelta(minutes=5)}, ["clock"]),
    ],
)
async def test_what_cannot_be_known_is_not_priced_but_waits_for_a_review(
    billing: Billing, fields: dict[str, Any], kinds: list[str]
) -> None:
    await billing.tariff()
    end = billing.ended(**fields)
    await billing.handle(end)
    shown = await billing.get(f"sessions/{end.session_id}")
    assert (shown["state"], shown["review"], shown["cost"]) == ("ended", "pending", None)
    assert [incident["kind"] for incident in shown["incidents"]] == kinds
    assert await billing.record(end.session_id) is None


async def test_a_refused_card_that_took_nothing_gets_a_record_of_0(billing: Billing) -> None:
    await billing.tariff(start_fee="1")
    end = billing.ended(token_status="Blocked", energy_wh=3, meter_stop_wh=1_003)
    await billing.handle(end)
    record = await billing.record(end.session_id)
    assert record
    assert record["total_gross"]["amount"] == "0.00"
    assert record["lines"][0]["rule"].startswith("refused")


async def test_records_carry_the_operators_newest_time_zone(billing: Billing) -> None:
    await billing.tariff()
    for version, zone in ((2, "Europe/Lisbon"), (1, "Asia/Tokyo")):
        await billing.handle(
            OperatorChanged(
                operator_id=billing.operator_id,
                version=version,
                name="A",
                time_zone=zone,
                currency="EUR",
            )
        )
    end = billing.ended()
    await billing.handle(end)
    record = await billing.record(end.session_id)
    assert record
    assert record["time_zone"] == "Europe/Lisbon"


async def test_records_are_filtered_by_what_they_hold_and_when_they_ended(
    billing: Billing,
) -> None:
    await billing.tariff()
    user_id, card_id = uuid7(), uuid7()
    mine = billing.ended(station_id="CP-2", user_id=user_id, card_id=card_id)
    later = billing.ended(ended_at=START + timedelta(hours=3))
    await billing.handle(mine, later)

    async def sessions(**query: Any) -> list[str]:
        items = (await billing.get("records", **query))["items"]
        return [item["session_id"] for item in items]

    first, second = str(mine.session_id), str(later.session_id)
    assert await sessions() == [second, first]
    assert await sessions(station_id="CP-2") == [first]
    assert await sessions(user_id=user_id) == [first]
    assert await sessions(card_id=card_id) == [first]
    end_of_first, end_of_second = mine.ended_at.isoformat(), later.ended_at.isoformat()
    assert await sessions(ended_from=end_of_first, ended_to=end_of_second) == [first]
    assert await sessions(ended_from=end_of_second) == [second]
