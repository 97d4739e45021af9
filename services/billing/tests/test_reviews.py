"""What people decide about sessions and their records: reviews, corrections, disputes."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from stack import eventually

from billing.meter import ENERGY_WH_MAX
from billing.records.closing import is_late
from billing.records.facts import CorrectedFacts, Impossible, Known, corrected
from common.clock import now
from common.events import (
    ChangesNoted,
    Incident,
    IncidentOpened,
    MeterSample,
    MeterValuesReported,
    OperatorChanged,
    PersonalDataCollected,
    PersonalDataRequested,
    PersonsCard,
    RecordClosed,
    SessionEnded,
)
from common.ids import uuid7

from .conftest import START, Billing

VALID = {"verdict": "valid", "reason": "the driver confirms it"}
VOID = {"verdict": "void", "reason": "a test of the electrician"}


def facts(**said: Any) -> dict[str, Any]:
    return {"verdict": "corrected", "reason": "read off the meter", "facts": said}


async def doubted(billing: Billing, **fields: Any) -> SessionEnded:
    """An ended session of 10 kWh, 4.90, that has a record and an open incident."""
    await billing.tariff()
    incident = Incident(kind="stop_repeated", detail="another value")
    end = billing.ended(incidents=(incident,), **fields)
    await billing.handle(end)
    return end


async def records(billing: Billing, session_id: UUID) -> list[tuple[str, int, str]]:
    """Kind, energy and gross of each, the oldest first."""
    items = (await billing.get("records", session_id=session_id))["items"]
    return [(one["kind"], one["energy_wh"], one["total_gross"]["amount"]) for one in items[::-1]]


async def opened(billing: Billing, end: SessionEnded, detail: str, at: datetime) -> IncidentOpened:
    event = IncidentOpened(
        operator_id=billing.operator_id, session_id=end.session_id, station_id=end.station_id,
        incident=Incident(kind="stop_repeated", detail=detail), occurred_at=at,
    )  # fmt: skip
    await billing.handle(event)
    return event


async def state(billing: Billing, end: SessionEnded) -> str:
    shown = [
        (await billing.get(f"reviews/{end.session_id}"))["state"],
        (await billing.get(f"sessions/{end.session_id}"))["review"],
    ]
    assert len(set(shown)) == 1
    return str(shown[0])


async def test_a_session_whose_energy_is_not_known_gets_its_record_from_the_decision(
    billing: Billing,
) -> None:
    await billing.tariff(energy_price="0.49")
    start = billing.started(started_at=now() - timedelta(hours=3))
    await billing.handle(start)
    await billing.tariff(energy_price="0.99", valid_from=None)
    end = billing.ended(
        session_id=start.session_id, started_at=start.started_at, ended_at=now(),
        energy_wh=None, meter_stop_wh=None,
    )  # fmt: skip
    await billing.handle(end)
    [queued] = (await billing.get("reviews"))["items"]
    assert (queued["session_id"], queued["record_id"]) == (str(end.session_id), None)
    assert [one["kind"] for one in queued["incidents"]] == ["energy_unknown"]
    path = f"reviews/{end.session_id}/decisions"
    await billing.refused(path, VALID, 409, "cannot-be-valid")
    decision = await billing.posted(path, facts(meter_stop_wh=21_000), "once")
    record = await billing.record(end.session_id)
    assert record
    # 20 kWh at the price of its start.
    told = (record["kind"], record["energy_wh"], record["total_gross"]["amount"], record["review"])
    assert told == ("session", 20_000, "9.80", "corrected")
    assert (decision["record_id"], decision["correction_id"]) == (None, record["id"])
    assert decision["facts"]["meter_stop_wh"] == 21_000
    assert decision["decided_as"] == "operator-admin"
    assert (await billing.get("reviews"))["items"] == []
    assert await billing.posted(path, facts(meter_stop_wh=21_000), "once") == decision
    again = await billing.post(path, facts(meter_stop_wh=22_000), "once")
    assert again.json()["type"].endswith(":idempotency-key-reused")
    await billing.refused(path, VALID, 409, "nothing-under-review")
    shown = await billing.get(f"sessions/{end.session_id}")
    assert shown["energy_wh"] is None, "the charger's own words stay"
    assert (shown["record_id"], shown["cost"]["amount"]) == (record["id"], "9.80")


async def test_what_is_found_valid_counts_as_it_is(billing: Billing) -> None:
    end = await doubted(billing)
    before = await billing.record(end.session_id)
    assert before
    assert before["review"] == "pending"
    decision = await billing.posted(f"reviews/{end.session_id}/decisions", VALID)
    assert await billing.record(end.session_id) == before | {"review": "valid"}
    assert (decision["record_id"], decision["cancellation_id"]) == (before["id"], None)
    assert [one["kind"] for one in decision["incidents"]] == ["stop_repeated"]
    [found] = (await billing.get("reviews", state="valid"))["items"]
    assert [one["id"] for one in found["decisions"]] == [decision["id"]]
    assert (await billing.get("reviews", state="void"))["items"] == []


async def test_a_correction_takes_the_record_back_and_closes_the_right_one(
    billing: Billing,
) -> None:
    end = await doubted(billing, station_id="CP-9")
    path = f"reviews/{end.session_id}/decisions"
    decision = await billing.posted(path, facts(energy_wh=7_000))
    assert await records(billing, end.session_id) == [
        ("session", 10_000, "4.90"), ("cancellation", -10_000, "-4.90"),
        ("correction", 7_000, "3.43"),
    ]  # fmt: skip
    found = (await billing.get("records", session_id=end.session_id))["items"]
    correction, cancellation, first = found
    assert [one["refers_to"] for one in found] == [first["id"], first["id"], None]
    assert {one["review"] for one in found} == {"corrected"}
    made = (decision["record_id"], decision["cancellation_id"], decision["correction_id"])
    assert made == (first["id"], cancellation["id"], correction["id"])
    for line, back in zip(first["lines"], cancellation["lines"], strict=True):
        assert Decimal(line["amount"]) == -Decimal(back["amount"])
        assert Decimal(line["quantity"]) == -Decimal(back["quantity"])
        assert (line["unit_price"], line["rule"]) == (back["unit_price"], back["rule"])
    assert Decimal(cancellation["vat"]["amount"]) == -Decimal(first["vat"]["amount"])
    [(tax, back)] = zip(first["taxes"], cancellation["taxes"], strict=True)
    assert tax["vat_percent"] == back["vat_percent"] == "19"
    for name in ("net", "vat", "gross"):
        assert Decimal(tax[name]) == -Decimal(back[name]) != 0
    # The registers say 10 kWh; none of them is of these 7.
    assert (correction["meter_start_wh"], correction["meter_stop_wh"]) == (None, None)
    shown = await billing.get(f"sessions/{end.session_id}")
    assert (shown["record_id"], shown["cost"]["amount"]) == (correction["id"], "3.43")

    async def all_told() -> list[Any]:
        told = await billing.told(RecordClosed)
        return told if len(told) == 3 else []

    told = await eventually(all_told)
    assert [(one["kind"], one["energy_wh"], one["total_gross"]) for one in told] == [
        ("session", 10_000, "4.90"), ("cancellation", -10_000, "-4.90"),
        ("correction", 7_000, "3.43"),
    ]  # fmt: skip


async def test_what_is_void_costs_nothing_and_gets_no_record_later(billing: Billing) -> None:
    without = billing.ended()
    await billing.handle(without)  # no tariff: it waits
    await billing.posted(f"reviews/{without.session_id}/decisions", VOID)
    end = await doubted(billing)  # now there is one
    assert await billing.record(without.session_id) is None
    await billing.posted(f"reviews/{end.session_id}/decisions", VOID)
    assert await records(billing, end.session_id) == [
        ("session", 10_000, "4.90"), ("cancellation", -10_000, "-4.90"),
    ]  # fmt: skip
    shown = await billing.get(f"sessions/{end.session_id}")
    assert (shown["record_id"], shown["cost"], shown["review"]) == (None, None, "void")


async def test_the_queue_begins_with_what_was_opened_first_whatever_its_id_is(
    billing: Billing,
) -> None:
    ids = sorted((uuid4() for _ in range(4)), reverse=True)
    await billing.tariff()
    for number, session_id in enumerate(ids):
        end = billing.ended(session_id=session_id)
        await billing.handle(end)
        await opened(billing, end, "another value", START + timedelta(minutes=number // 2))
    # Of two that were opened at once that with the lower id; another doubt moves none.
    queue = [str(ids[number]) for number in (1, 0, 3, 2)]
    await billing.handle(
        IncidentOpened(
            operator_id=billing.operator_id, session_id=ids[0], station_id="CP-1",
            incident=Incident(kind="clock", detail="1970"), occurred_at=now(),
        )
    )  # fmt: skip

    async def listed(state: str) -> list[str]:
        found, cursor = [], None
        while True:
            query: dict[str, Any] = {"state": state, "limit": 1}
            page = await billing.get("reviews", **query | ({"cursor": cursor} if cursor else {}))
            found += [one["session_id"] for one in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                return found

    assert await listed("pending") == queue
    for session_id in ids:
        await billing.posted(f"reviews/{session_id}/decisions", VALID)
    assert await listed("valid") == queue


async def test_something_new_opens_the_review_again_and_what_is_told_twice_does_not(
    billing: Billing,
) -> None:
    end = await doubted(billing)
    path = f"reviews/{end.session_id}/decisions"
    await billing.posted(path, VOID)
    await billing.handle(end.model_copy(update={"occurred_at": now()}))
    await opened(billing, end, "of before", now() - timedelta(hours=1))
    assert await state(billing, end) == "void"
    again = await opened(billing, end, "a third value", now())
    assert await state(billing, end) == "pending"
    # What was void counts again, corrected: nothing is left to be taken back.
    await billing.posted(path, facts(energy_wh=5_000))
    assert await state(billing, end) == "corrected"
    await billing.handle(again)
    assert await state(billing, end) == "corrected"
    assert await records(billing, end.session_id) == [
        ("session", 10_000, "4.90"), ("cancellation", -10_000, "-4.90"),
        ("correction", 5_000, "2.45"),
    ]  # fmt: skip
    history = (await billing.get(f"reviews/{end.session_id}"))["decisions"]
    assert [one["verdict"] for one in history] == ["void", "corrected"]
    assert [one["detail"] for one in history[1]["incidents"]] == ["a third value"]


async def test_a_running_session_may_be_found_valid_and_nothing_else(billing: Billing) -> None:
    await billing.tariff()
    start = billing.started(incidents=(Incident(kind="token_refused", detail="blocked"),))
    await billing.handle(start)
    path = f"reviews/{start.session_id}/decisions"
    await billing.refused(path, VOID, 409, "session-runs")
    await billing.refused(path, facts(energy_wh=1), 409, "session-runs")
    await billing.posted(path, VALID)
    await billing.handle(billing.ended(session_id=start.session_id, incidents=start.incidents))
    record = await billing.record(start.session_id)
    assert record
    assert (record["review"], record["total_gross"]["amount"]) == ("valid", "4.90")


async def test_a_correction_without_facts_is_told_that_they_are_missing(billing: Billing) -> None:
    end = await doubted(billing)
    path = f"reviews/{end.session_id}/decisions"
    for body, says in (
        ({"verdict": "corrected", "reason": "x"}, "the facts are missing"),
        (VOID | {"facts": {"energy_wh": 1}}, "facts belong to the verdict corrected"),
    ):
        refused = await billing.refused(path, body, 422, "invalid-request")
        assert refused["detail"].startswith(f"1 field is wrong: /body: {says}")


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({"verdict": "corrected", "reason": "x"}, 422, "invalid-request"),
        (VOID | {"facts": {"energy_wh": 1}}, 422, "invalid-request"),
        (VALID | {"reason": " "}, 422, "invalid-request"),
        (VALID | {"reason": "a\0b"}, 422, "invalid-request"),
        (facts(), 422, "invalid-request"),
        (facts(energy_wh=-1), 422, "invalid-request"),
        (facts(energy_wh=ENERGY_WH_MAX + 1), 422, "invalid-request"),
        (facts(energy_wh=10_000), 422, "nothing-corrected"),
        (facts(meter_stop_wh=900), 422, "facts-impossible"),
        (facts(meter_stop_wh=12_000, energy_wh=10_000), 422, "facts-impossible"),
        (facts(ended_at="2026-03-02T09:00:00Z"), 422, "facts-impossible"),
    ],
)
async def test_rulings_that_make_no_sense_are_refused_and_change_nothing(
    billing: Billing, body: dict[str, Any], status: int, problem: str
) -> None:
    end = await doubted(billing)
    await billing.refused(f"reviews/{end.session_id}/decisions", body, status, problem)
    assert await state(billing, end) == "pending"
    assert len(await records(billing, end.session_id)) == 1


async def test_a_decision_needs_its_key_its_scope_and_a_session_of_the_operator(
    billing: Billing,
) -> None:
    end = await doubted(billing)
    path = f"/v1/reviews/{end.session_id}/decisions"
    reader = billing.issuer.headers(billing.operator_id, "records:read")
    writer = billing.issuer.headers(billing.operator_id, "records:write")
    stranger = billing.issuer.headers(UUID(int=1), "records:write")
    key = {"Idempotency-Key": "k"}
    for headers, status in ((writer, 422), (reader | key, 403), (stranger | key, 404)):
        answer = await billing.http.post(path, json=VALID, headers=headers)
        assert answer.status_code == status, answer.text
    assert await state(billing, end) == "pending"


async def test_of_many_who_decide_at_once_one_decides(billing: Billing) -> None:
    end = await doubted(billing)
    path = f"reviews/{end.session_id}/decisions"
    answers = await asyncio.gather(
        *(billing.post(path, facts(energy_wh=1_000 + number)) for number in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
    assert len(await records(billing, end.session_id)) == 3
    end = await doubted_again(billing)
    path = f"reviews/{end.session_id}/decisions"
    answers = await asyncio.gather(*(billing.post(path, facts(energy_wh=1), "k") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def doubted_again(billing: Billing) -> SessionEnded:
    end = billing.ended(incidents=(Incident(kind="stop_repeated", detail="another value"),))
    await billing.handle(end)
    return end


async def test_staff_correct_a_record_and_the_correction_of_it(billing: Billing) -> None:
    await billing.tariff()
    end = billing.ended()
    await billing.handle(end)
    first = await billing.record(end.session_id)
    assert first
    later = (START + timedelta(hours=1)).isoformat()
    made = await billing.posted(f"records/{first['id']}/corrections", facts(energy_wh=8_000))
    stale = await billing.refused(
        f"records/{first['id']}/corrections", facts(energy_wh=1), 409, "record-taken-back"
    )
    assert stale["counts"] == made["correction_id"]
    path = f"records/{made['correction_id']}/corrections"
    await billing.refused(path, VALID, 422, "ruling-about-nothing")
    # Of the correction, not of the charger's own words: 8 kWh stay.
    again = await billing.posted(path, facts(ended_at=later))
    assert await records(billing, end.session_id) == [
        ("session", 10_000, "4.90"), ("cancellation", -10_000, "-4.90"),
        ("correction", 8_000, "3.92"), ("cancellation", -8_000, "-3.92"),
        ("correction", 8_000, "3.92"),
    ]  # fmt: skip
    assert await state(billing, end) == "corrected"
    await opened(billing, end, "late", now())
    path = f"records/{again['correction_id']}/corrections"
    await billing.refused(path, VOID, 409, "review-pending")


async def test_a_dispute_is_open_until_it_is_rejected_or_its_record_corrected(
    billing: Billing,
) -> None:
    await billing.tariff()
    end = billing.ended()
    await billing.handle(end)
    record = await billing.record(end.session_id)
    assert record
    path = f"records/{record['id']}/disputes"
    body = {"raised_by": "customer", "reason": "the car was not there"}
    dispute = await billing.posted(path, body, "first")
    assert await billing.posted(path, body, "first") == dispute
    assert (dispute["state"], dispute["decision"]) == ("open", None)
    other = await billing.refused(path, body, 409, "dispute-open")
    assert other["dispute"] == dispute["id"]
    rejected = await billing.posted(f"disputes/{dispute['id']}/decisions", VALID)
    assert (rejected["about"], rejected["dispute_id"]) == ("dispute", dispute["id"])
    await billing.refused(f"disputes/{dispute['id']}/decisions", VOID, 409, "dispute-decided")
    second = await billing.posted(path, body)
    assert len(await records(billing, end.session_id)) == 1
    await billing.posted(f"disputes/{second['id']}/decisions", facts(energy_wh=2_000))
    assert [one[0] for one in await records(billing, end.session_id)] == [
        "session", "cancellation", "correction",
    ]  # fmt: skip
    await billing.refused(path, body, 409, "record-taken-back")
    for wanted, expected in (
        ({"state": "rejected"}, [dispute["id"]]),
        ({"state": "accepted"}, [second["id"]]),
        ({"state": "open"}, []),
        ({"record_id": record["id"]}, [second["id"], dispute["id"]]),
    ):
        items = (await billing.get("disputes", **wanted))["items"]
        assert [one["id"] for one in items] == expected
    assert (await billing.get(f"disputes/{second['id']}"))["decision"]["verdict"] == "corrected"


@pytest.mark.parametrize("about", ["correction", "review"])
@pytest.mark.parametrize("ruling", [VOID, facts(energy_wh=2_000)])
async def test_what_takes_a_disputed_record_back_accepts_the_dispute(
    billing: Billing, about: str, ruling: dict[str, Any]
) -> None:
    await billing.tariff()
    end = billing.ended()
    await billing.handle(end)
    record = await billing.record(end.session_id)
    assert record
    body = {"raised_by": "customer", "reason": "the car was not there"}
    dispute = await billing.posted(f"records/{record['id']}/disputes", body)
    path = f"records/{record['id']}/corrections"
    if about == "review":
        await opened(billing, end, "late", now())
        path = f"reviews/{end.session_id}/decisions"
        await billing.posted(path, VALID)  # the record counts, so the dispute is open still
        await opened(billing, end, "later", now())
    decision = await billing.posted(path, ruling)
    assert (decision["about"], decision["dispute_id"]) == (about, dispute["id"])
    told = await billing.get(f"disputes/{dispute['id']}")
    assert (told["state"], told["decision"]["id"]) == ("accepted", decision["id"])
    await billing.refused(f"disputes/{dispute['id']}/decisions", VALID, 409, "dispute-decided")
    assert await state(billing, end) == ruling["verdict"]


async def test_whose_session_it_was_is_given_what_was_said_and_decided_about_it(
    billing: Billing,
) -> None:
    card = uuid7()
    end = await doubted(billing, card_id=card)
    await billing.posted(f"reviews/{end.session_id}/decisions", VALID)
    record = await billing.record(end.session_id)
    assert record
    body = {"raised_by": "customer", "reason": "the car was not there"}
    await billing.posted(f"records/{record['id']}/disputes", body)
    wish = PersonalDataRequested(
        operator_id=billing.operator_id, request_id=uuid7(), user_id=uuid7(),
        cards=(PersonsCard(card_id=card, uid=end.id_token),),
    )  # fmt: skip
    await billing.handle(wish)

    async def given() -> bool:
        parts = str(await billing.told(PersonalDataCollected))
        return body["reason"] in parts and VALID["reason"] in parts

    await eventually(given)


@pytest.mark.parametrize("statement", ["update {} set reason = 'x'", "delete from {}"])
@pytest.mark.parametrize("table", ["decision", "dispute"])
async def test_what_was_decided_is_never_changed(
    billing: Billing, table: str, statement: str
) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with billing.app.state.connections.begin(billing.operator_id) as db:
            await db.execute(text(statement.format(table)))


async def test_who_decided_is_noted_in_the_audit_log(billing: Billing) -> None:
    end = await doubted(billing)
    decision = await billing.posted(f"reviews/{end.session_id}/decisions", VALID)

    async def noted() -> list[Any]:
        told = await billing.told(ChangesNoted)
        return [note for one in told for note in one["notes"] if decision["id"] in str(note)]

    [note] = await eventually(noted)
    assert (note["table_name"], note["action"]) == ("decision", "insert")
    assert note["actor"]["sub"] == decision["decided_by"]


async def test_an_offline_session_of_an_earlier_month_is_late(billing: Billing) -> None:
    await billing.tariff()
    old = billing.ended()
    fresh = billing.ended(started_at=now() - timedelta(minutes=30), ended_at=now())
    await billing.handle(old, fresh)
    for event, late in ((old, True), (fresh, False)):
        record = await billing.record(event.session_id)
        assert record
        assert record["late"] is late


@pytest.mark.parametrize(
    ("ended", "closed", "late"),
    [
        ("2026-10-31T22:59:00Z", "2026-10-31T23:30:00Z", False),  # told at half past midnight
        ("2026-10-31T22:30:00Z", "2026-10-31T23:40:00Z", True),
        ("2026-10-31T23:10:00Z", "2026-11-30T22:00:00Z", False),  # ended on the first, in Berlin
        ("2026-10-31T21:00:00Z", "2026-10-31T22:30:00Z", False),
        ("2025-12-31T12:00:00Z", "2026-01-01T12:00:00Z", True),
        ("2026-11-05T12:00:00Z", "2026-10-01T12:00:00Z", False),  # a clock that is ahead
    ],
)
def test_late_is_what_comes_when_its_month_is_over(ended: str, closed: str, late: bool) -> None:
    moments = [datetime.fromisoformat(one) for one in (ended, closed)]
    assert is_late(moments[0], moments[1], "Europe/Berlin") is late


registers = st.none() | st.integers(-10, 2_000_000)


@given(
    st.tuples(registers, registers, st.none() | st.integers(0, ENERGY_WH_MAX)),
    st.tuples(registers, registers, st.none() | st.integers(0, ENERGY_WH_MAX)).filter(any),
    st.integers(-5, 5),
)
def test_corrected_facts_agree_with_themselves(
    before: tuple[int | None, int | None, int | None],
    said: tuple[int | None, int | None, int | None],
    hours: int,
) -> None:
    known = Known(START, START + timedelta(hours=hours), *before)
    telling = CorrectedFacts(meter_start_wh=said[0], meter_stop_wh=said[1], energy_wh=said[2])
    try:
        right = corrected(known, telling)
    except Impossible:
        return
    assert right.ended_at is not None
    assert right.ended_at >= right.started_at
    assert right.energy_wh is not None
    assert 0 <= right.energy_wh <= ENERGY_WH_MAX
    if right.meter_start_wh is not None and right.meter_stop_wh is not None:
        assert right.meter_stop_wh - right.meter_start_wh == right.energy_wh
    assert said[2] in (None, right.energy_wh), "what somebody said of the energy is what counts"


async def test_a_session_of_years_is_not_priced_and_hides_no_other(billing: Billing) -> None:
    await billing.tariff(valid_from="2020-01-01T00:00:00Z")
    began = {"started_at": START - timedelta(days=800)}
    running, ended = billing.started(**began), billing.ended(**began)
    beside = billing.ended()
    sample = MeterSample(
        sampled_at=now(), measurand="Energy.Active.Import.Register", value=Decimal(2_000),
        unit="Wh",
    )  # fmt: skip
    read = MeterValuesReported(reports=(billing.report(running.session_id, [sample]),))
    await billing.handle(running, ended, beside, read)
    assert await billing.record(beside.session_id)
    assert await billing.record(ended.session_id) is None
    found = {one["id"]: one for one in (await billing.get("sessions"))["items"]}
    assert found[str(running.session_id)]["cost"] is None
    assert [one["kind"] for one in found[str(ended.session_id)]["incidents"]] == ["clock"]
    path = f"reviews/{ended.session_id}/decisions"
    ruling = {"verdict": "corrected", "reason": "x", "facts": {"energy_wh": 5_000}}
    await billing.refused(path, ruling, 422, "facts-impossible")
    right = {"energy_wh": 5_000, "started_at": START.isoformat()}
    await billing.posted(path, ruling | {"facts": right})
    record = await billing.record(ended.session_id)
    assert record
    assert record["total_gross"]["amount"] == "2.45"


async def test_a_correction_keeps_the_clock_of_the_place_as_it_was(billing: Billing) -> None:
    end = await doubted(billing)
    first = await billing.record(end.session_id)
    assert first is not None
    assert first["time_zone"] == "Europe/Berlin"
    await billing.handle(
        OperatorChanged(
            operator_id=billing.operator_id, version=2, name="A", time_zone="Asia/Tokyo",
            currency="EUR",
        )
    )  # fmt: skip
    await billing.posted(f"reviews/{end.session_id}/decisions", facts(energy_wh=5_000))
    newest = (await billing.get("records", session_id=end.session_id))["items"][0]
    assert (newest["kind"], newest["time_zone"]) == ("correction", "Europe/Berlin")
