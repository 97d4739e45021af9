"""What a draft would have done to sessions that were."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stack import eventually

from billing.discounts import preview_runs
from billing.discounts.previewing import AFFECTED_MAX, Amounts, Rated, Tally, moved
from billing.discounts.previews import last_month
from common.authorize import Holder
from common.clock import now
from common.events import MeterSample, MeterValuesReported, StationChanged
from common.ids import uuid7
from services.billing.tests.conftest import START, Billing
from services.billing.tests.test_discounts import ANY, HERE, active, as_staff, made, people
from services.billing.tests.test_discounts_applying import local, offer

BERLIN = ZoneInfo("Europe/Berlin")
MARCH = {"ended_from": "2026-03-01T00:00:00Z", "ended_to": "2026-04-01T00:00:00Z"}


async def previewed(
    billing: Billing, offer_id: str, path: str = "discounts", **body: Any
) -> dict[str, Any]:
    url = f"/v1/{path}/{offer_id}/preview"
    async with as_staff(billing) as staff:
        answer = await staff.post(url, json=MARCH | body, params={"wait_s": 20})
        assert answer.status_code == 200, answer.text
        assert (await staff.get(url)).json() == answer.json()
    found: dict[str, Any] = answer.json()
    assert found["state"] == "done", found
    return found


async def charged(billing: Billing, **fields: Any) -> UUID:
    """10 kWh for 4.90, on 2 March from 11:00 to 13:00 in Berlin."""
    end = billing.ended(**fields)
    await billing.handle(end)
    return end.session_id


async def test_a_preview_rates_sessions_with_and_without(billing: Billing) -> None:
    await billing.tariff()
    user, other = uuid7(), uuid7()
    await people(billing, [user])
    mine = [await charged(billing, user_id=user) for _ in range(3)]
    await charged(billing, user_id=other, station_id="CP-2")
    await charged(billing, ended_at=datetime(2026, 4, 1, tzinfo=UTC))  # too late
    draft = await made(billing, people=[{"kind": "user", "id": str(user)}])
    found = await previewed(billing, draft["id"])
    result = found["result"]
    assert (found["sessions_total"], found["sessions_done"], found["of_version"]) == (4, 4, 1)
    assert result["totals"] == [
        {
            "currency": "EUR", "sessions": 4, "sessions_concerned": 3, "gross_before": "19.60",
            "gross_after": "18.13", "net_before": "16.48", "net_after": "15.25",
        }
    ]  # fmt: skip
    [station] = result["stations"]
    assert (station["station_id"], station["sessions"], station["gross_after"]) == (
        "CP-1", 3, "13.23",
    )  # fmt: skip
    assert result["users"] == [
        {"user_id": str(user), "currency": "EUR", "gross_change": "-1.47"},
    ]
    assert {one["session_id"] for one in result["most_affected"]} == {str(one) for one in mine}
    assert (result["moved_weeks"], result["not_priced"]) == (0, 0)
    # Nothing was changed.
    assert [one["total_gross"]["amount"] for one in (await billing.get("records"))["items"]] == [
        "4.90"
    ] * 5
    assert await billing.stored("select 1 from quota_use where operator_id = $1",
                                billing.operator_id) == []  # fmt: skip


async def test_its_quota_is_counted_as_if_it_had_been_there(billing: Billing) -> None:
    await billing.tariff()
    for hours in range(4):
        await charged(billing, started_at=START + timedelta(hours=hours - 3))
    free = {"kind": "free", "amount": "0"}
    energy = await made(billing, **free, quota={"unit": "kwh", "size": "25", "per": "total"})
    numbered = await made(billing, **free, quota={"unit": "sessions", "size": "3", "per": "total"})
    of_each = await made(billing, **free, quota={"unit": "kwh", "size": "4", "per": "session"})
    for draft, after, concerned in (
        (energy, "7.35", 3),
        (numbered, "4.90", 3),
        (of_each, "11.76", 4),
    ):
        result = (await previewed(billing, draft["id"]))["result"]
        [total] = result["totals"]
        assert (total["gross_after"], total["sessions_concerned"]) == (after, concerned)


async def test_an_amount_of_another_currency_changes_nothing(billing: Billing) -> None:
    await billing.tariff()
    await charged(billing)
    francs = await made(billing, currency="CHF", kind="price", amount="0.01")
    [total] = (await previewed(billing, francs["id"]))["result"]["totals"]
    assert (total["gross_after"], total["sessions_concerned"]) == ("4.90", 0)


async def test_an_event_that_is_to_come_is_moved_back_by_weeks(billing: Billing) -> None:
    """2 March 2026 is a Monday; 6 kWh are drawn before noon, 4 after."""
    await billing.tariff()
    station = f"CP-{billing.operator_id}"
    await billing.handle(
        StationChanged(
            operator_id=billing.operator_id, station_id=station, version=1, name="S",
            active=True, evses=(), location_id=billing.here,
        ),
        billing.opened(),
    )  # fmt: skip
    session = uuid7()
    noon = START + timedelta(hours=1)  # 12:00 in Berlin
    sample = MeterSample(
        sampled_at=noon, measurand="Energy.Active.Import.Register", value=Decimal(7000), unit="Wh"
    )
    await billing.handle(
        MeterValuesReported(reports=(billing.report(session, [sample]),)),
        billing.ended(session_id=session, station_id=station),
        billing.ended(station_id="CP-ELSEWHERE"),
    )
    event = await made(
        billing, "price-events", kind="free", amount="0", valid_from="2026-12-07T12:00",
        valid_until="2026-12-07T18:00", places=[{"kind": "location", "id": str(billing.here)}],
    )  # fmt: skip
    found = await previewed(billing, event["id"], "price-events", ended_to="2026-03-08T00:00:00Z")
    [total] = found["result"]["totals"]
    assert found["result"]["moved_weeks"] == 40
    assert (total["sessions"], total["sessions_concerned"]) == (2, 1)
    assert total["gross_after"] == "7.84"  # 4.90 and 6 kWh


async def test_an_active_ones_own_effect_is_not_counted_twice(billing: Billing) -> None:
    """Its modifier is in the terms of sessions; without it they cost what they would have."""
    await billing.tariff()
    await charged(billing)
    one = await active(billing)
    [total] = (await previewed(billing, one["id"]))["result"]["totals"]
    assert (total["gross_before"], total["gross_after"]) == ("4.90", "4.41")


async def test_a_new_asking_takes_the_place_of_the_one_before(billing: Billing) -> None:
    await billing.tariff()
    await charged(billing)
    draft = await made(billing)
    url = f"/v1/discounts/{draft['id']}/preview"
    async with as_staff(billing) as staff:
        assert (await staff.get(url)).status_code == 404
        waiting = await staff.post(url, json=MARCH, params={"wait_s": 0})
        assert (waiting.status_code, waiting.json()["result"]) == (202, None)

        async def done() -> bool:
            return bool((await staff.get(url)).json()["state"] == "done")

        await eventually(done)
        last = await staff.post(url, json={}, params={"wait_s": 20})
        begin, end = last_month(now(), "Europe/Berlin")
        for name, at in (("ended_from", begin), ("ended_to", end)):
            assert datetime.fromisoformat(last.json()[name]) == at
        assert last.json()["result"]["totals"] == []
        # With the draft its preview goes.
        assert (await staff.delete(f"/v1/discounts/{draft['id']}", headers=ANY)).status_code == 204


async def test_what_a_dead_replica_left_is_taken_after_a_minute(billing: Billing) -> None:
    await billing.tariff()
    await charged(billing)
    draft = await made(billing)
    url = f"/v1/discounts/{draft['id']}/preview"
    abandoned = (
        "insert into discount_preview (discount_id, operator_id, id, of_version, ended_from, "
        "ended_to, asked_by, asked_at, beat_at, sessions_done) values ($1, $2, $3, 1, $4, $5, "
        "'x', now(), now() - cast($6 as interval), 7) on conflict (discount_id) do update set "
        "beat_at = excluded.beat_at"
    )
    march, april = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4))
    values = (UUID(draft["id"]), billing.operator_id, uuid7(), march, april)
    async with as_staff(billing) as staff:

        async def done() -> bool:
            return bool((await staff.get(url)).json()["state"] == "done")

        await billing.stored(abandoned, *values, timedelta(seconds=30))
        await preview_runs.work_once(billing.app.state.connections)
        assert (await staff.get(url)).json()["state"] == "working"
        await billing.stored(abandoned, *values, timedelta(seconds=61))
        await eventually(done)


@pytest.mark.parametrize(
    "body",
    [
        {"ended_from": "2026-03-01T00:00:00Z"},
        {"ended_from": "2026-03-01T00:00:00Z", "ended_to": "2026-03-01T00:00:00Z"},
        {"ended_from": "2025-03-01T00:00:00Z", "ended_to": "2026-03-03T00:00:00Z"},
        {"ended_from": "2026-03-01T00:00:00", "ended_to": "2026-04-01T00:00:00"},
    ],
)
async def test_a_time_that_cannot_be_looked_at_is_refused(
    billing: Billing, body: dict[str, str]
) -> None:
    draft = await made(billing)
    async with as_staff(billing) as staff:
        answer = await staff.post(f"/v1/discounts/{draft['id']}/preview", json=body)
        assert answer.status_code == 422, answer.text


async def test_previews_are_for_staff_who_see_every_location_and_go_after_a_month(
    billing: Billing,
) -> None:
    draft = await made(billing)
    url = f"/v1/discounts/{draft['id']}/preview"
    async with as_staff(billing, locations=[str(HERE)]) as some:
        answers: list[httpx.Response] = [await some.post(url, json=MARCH), await some.get(url)]
        for refused in answers:
            assert refused.json()["type"].endswith("discounts-of-every-location"), refused.text
    await previewed(billing, draft["id"])
    old = "update discount_preview set asked_at = now() - interval '31 days' where discount_id = $1"
    await billing.stored(old, UUID(draft["id"]))
    await preview_runs.prune_once(billing.app.state.connections)
    async with as_staff(billing) as staff:
        assert (await staff.get(url)).status_code == 404
        other = await staff.post(f"/v1/price-events/{draft['id']}/preview", json=MARCH)
        assert other.status_code == 404


@pytest.mark.parametrize(
    ("valid_from", "valid_until", "weeks", "moved_from"),
    [
        (None, None, 0, None),
        ("2026-03-20T12:00", None, 0, "2026-03-20T12:00"),  # it begins in that time
        ("2026-02-20T12:00", "2026-12-01T00:00", 0, "2026-02-20T12:00"),
        ("2026-04-04T12:00", "2026-04-04T18:00", 1, "2026-03-28T12:00"),  # all of it lies in it
        ("2026-04-01T00:00", "2026-04-02T00:00", 1, "2026-03-25T00:00"),
        (
            "2026-12-24T00:00",
            "2027-12-24T00:00",
            43,
            "2026-02-26T00:00",
        ),  # too long: from its start
        ("2026-04-01T00:00", None, 5, "2026-02-25T00:00"),
    ],
)
def test_by_as_many_weeks_as_it_takes(
    valid_from: str | None, valid_until: str | None, weeks: int, moved_from: str | None
) -> None:
    one = offer(
        valid_from=local(valid_from) if valid_from else None,
        valid_until=local(valid_until) if valid_until else None,
        active_from=datetime(2026, 12, 1, tzinfo=UTC),
    )
    march, april = (datetime(2026, month, 1, tzinfo=BERLIN) for month in (3, 4))
    found, by = moved(one, march, april, BERLIN)
    assert (by, found.valid_from) == (weeks, local(moved_from) if moved_from else None)
    assert found.active_from is None


def test_last_month_is_the_local_one() -> None:
    # 1 March in Berlin already.
    begin, end = last_month(datetime(2026, 2, 28, 23, 30, tzinfo=UTC), "Europe/Berlin")
    assert begin == datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert end == datetime(2026, 2, 28, 23, tzinfo=UTC)


AMOUNT = st.integers(0, 500).map(lambda cents: Decimal(cents).scaleb(-2))
RATED = st.builds(
    Rated,
    session_id=st.uuids(),
    station_id=st.sampled_from(["A", "B"]),
    user_id=st.sampled_from([None, *(UUID(int=number) for number in range(3))]),
    currency=st.sampled_from(["EUR", "CHF"]),
    before=st.builds(Amounts, AMOUNT, AMOUNT),
    after=st.builds(Amounts, AMOUNT, AMOUNT),
)


@given(st.lists(RATED, max_size=60, unique_by=lambda one: one.session_id))
def test_the_sums_are_those_of_the_sessions_and_the_most_affected_come_first(
    sessions: list[Rated],
) -> None:
    tally = Tally()
    for one in sessions:
        tally.add(one)
    told = tally.told()
    for total in told["totals"]:
        of_it = [one for one in sessions if one.currency == total["currency"]]
        assert total["sessions"] == len(of_it)
        assert Decimal(total["gross_after"]) == sum(one.after.gross for one in of_it)
        assert Decimal(total["net_before"]) == sum(one.before.net for one in of_it)
    changes = sorted((abs(one.after.gross - one.before.gross) for one in sessions), reverse=True)
    shown = [
        abs(Decimal(one["gross_after"]) - Decimal(one["gross_before"]))
        for one in told["most_affected"]
    ]
    assert shown == [one for one in changes if one][:AFFECTED_MAX]


async def test_an_unknown_holder_has_no_groups(billing: Billing) -> None:
    await billing.tariff()
    group = uuid7()
    await people(billing, [], [group])
    await charged(billing, holder=None)
    await charged(billing, holder=Holder(user_group_ids=(group,)))
    draft = await made(billing, people=[{"kind": "user_group", "id": str(group)}])
    [total] = (await previewed(billing, draft["id"]))["result"]["totals"]
    assert (total["sessions"], total["sessions_concerned"]) == (2, 1)


async def test_too_many_sessions_and_what_breaks_off_are_said(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await billing.tariff()
    await charged(billing)
    draft = await made(billing)

    async def failure() -> str:
        url = f"/v1/discounts/{draft['id']}/preview"
        async with as_staff(billing) as staff:
            answer = await staff.post(url, json=MARCH, params={"wait_s": 20})
        assert answer.json()["state"] == "failed", answer.text
        return str(answer.json()["failure"])

    monkeypatch.setattr(preview_runs, "SESSIONS_MAX", 0)
    assert await failure() == "too many sessions: 1, at most 0: take a shorter time"
    monkeypatch.setattr(preview_runs, "SESSIONS_MAX", 1)
    monkeypatch.setattr(preview_runs, "PAGE", "not a number")
    assert (await failure()).startswith("it broke off")
