from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from billing.running_cost import costs_of
from common.clock import now
from common.events import Incident, IncidentOpened, MeterSample, MeterValuesReported
from common.ids import uuid7
from services.billing.tests.conftest import START, Billing


def register(value: str, seconds: int = 60, **fields: Any) -> MeterSample:
    at = START + timedelta(seconds=seconds)
    sample = {"sampled_at": at, "value": value, "unit": "Wh", "context": "Sample.Periodic"}
    return MeterSample.model_validate(sample | fields)


async def test_a_running_session_shows_its_energy_and_cost_so_far(billing: Billing) -> None:
    tariff = await billing.tariff()
    start = billing.started()
    await billing.handle(start)
    shown = await billing.get(f"sessions/{start.session_id}")
    assert (shown["state"], shown["energy_wh"]) == ("running", 0)
    assert shown["cost"] == {"amount": "0.00", "currency": "EUR"}
    assert shown["tariff_id"] == tariff["id"]
    report = billing.report(start.session_id, [register("6000.4"), register("11000", 120)])
    await billing.handle(MeterValuesReported(reports=(report,)))
    shown = await billing.get(f"sessions/{start.session_id}")
    assert (shown["energy_wh"], shown["metered_at"]) == (10_000, "2026-03-02T10:02:00Z")
    assert shown["cost"] == {"amount": "4.90", "currency": "EUR"}
    assert (shown["review"], shown["incidents"], shown["record_id"]) == ("none", [], None)


async def test_time_is_charged_while_it_runs(billing: Billing) -> None:
    await billing.tariff(energy_price="0", time_price="1")
    start = billing.started(started_at=now() - timedelta(minutes=10))
    sample = register("2000", sampled_at=now())
    await billing.handle(
        start, MeterValuesReported(reports=(billing.report(start.session_id, [sample]),))
    )
    cost = (await billing.get(f"sessions/{start.session_id}"))["cost"]
    assert Decimal("10.00") <= Decimal(cost["amount"]) < Decimal("10.50")


async def test_the_cost_so_far_is_the_one_that_the_station_shows(billing: Billing) -> None:
    await billing.tariff(energy_price="0", time_price="1")
    begun = now() - timedelta(hours=2)
    late, heard, silent = (billing.started(started_at=begun) for _ in range(3))
    read_at = now() - timedelta(minutes=30)
    of_late = billing.report(late.session_id, [register("2000", sampled_at=read_at)])
    of_heard = billing.report(heard.session_id, [register("2000", sampled_at=read_at)])
    at_once = of_heard.model_copy(update={"received_at": read_at})
    await billing.handle(late, heard, silent, MeterValuesReported(reports=(of_late, at_once)))
    ids = [one.session_id for one in (late, heard, silent)]

    async def told() -> list[Decimal]:
        async with billing.app.state.connections.begin(billing.operator_id) as db:
            found = {one.session_id: one.total_gross for one in await costs_of(db, ids)}
        return [found[one] for one in ids]

    before = await told()
    listed = {one["id"]: one["cost"] for one in (await billing.get("sessions"))["items"]}
    for least, session_id, most in zip(before, ids, await told(), strict=True):
        alone = (await billing.get(f"sessions/{session_id}"))["cost"]
        assert least <= Decimal(listed[str(session_id)]["amount"]) <= most
        assert Decimal(alone["amount"]) >= least
    # Up to the last reading where it came late or never, else up to a minute ago.
    assert [int(one) for one in before] == [90, 119, 0]


async def test_readings_that_come_late_twice_or_before_the_session_change_nothing(
    billing: Billing,
) -> None:
    await billing.tariff()
    start = billing.started()
    new = billing.report(start.session_id, [register("5000", 120)])
    old = billing.report(start.session_id, [register("3000", 60)])
    await billing.handle(
        MeterValuesReported(reports=(new,)),
        MeterValuesReported(reports=(old, new)),
        MeterValuesReported(reports=(old,)),
        start,
    )
    assert (await billing.get(f"sessions/{start.session_id}"))["energy_wh"] == 4_000
    samples = await billing.stored(
        "select value from meter_sample where session_id = $1 order by value", start.session_id
    )
    assert [row["value"] for row in samples] == [3_000, 5_000]


async def test_only_the_whole_register_in_wh_counts_as_energy(billing: Billing) -> None:
    await billing.tariff()
    start = billing.started()
    others = [
        register("9000", phase="L1"),
        register("9001", unit="kWh"),
        register("9002", measurand="Energy.Active.Export.Register"),
        register("9003", location="Inlet"),
        register("2000", location="Outlet"),
    ]
    await billing.handle(
        start, MeterValuesReported(reports=(billing.report(start.session_id, others),))
    )
    assert (await billing.get(f"sessions/{start.session_id}"))["energy_wh"] == 1_000
    kept = await billing.stored(
        "select count(*) as n from meter_sample where session_id = $1", start.session_id
    )
    assert kept == [{"n": 5}], "but all are kept"


async def test_a_batch_holds_reports_of_many_operators_and_of_no_session(
    billing: Billing,
) -> None:
    first, second = billing.operator_id, uuid7()
    idle = billing.report(None, [register("7", measurand="Current.Import", unit="A")])
    idle = idle.model_copy(update={"station_id": f"CP-{uuid7()}"})
    other = idle.model_copy(update={"operator_id": second, "evse_id": 2})
    await billing.handle(MeterValuesReported(reports=(idle, other, idle)))
    await billing.handle(MeterValuesReported(reports=(other, idle)))
    rows = await billing.stored(
        "select operator_id, evse_id, session_id from meter_sample where station_id = $1 "
        "order by evse_id",
        idle.station_id,
    )
    assert [tuple(row.values()) for row in rows] == [(first, 1, None), (second, 2, None)]


async def test_a_batch_may_be_larger_than_a_statement_has_parameters(billing: Billing) -> None:
    session_id = uuid7()
    many = [register(str(n), n) for n in range(5_000)]
    await billing.handle(MeterValuesReported(reports=(billing.report(session_id, many),)))
    kept = await billing.stored(
        "select count(*) as n from meter_sample where session_id = $1", session_id
    )
    assert kept == [{"n": 5_000}]


async def test_a_start_after_the_end_does_not_reopen_the_session(billing: Billing) -> None:
    await billing.tariff()
    end = billing.ended()
    late = billing.started(session_id=end.session_id, meter_start_wh=None)
    await billing.handle(end)
    before = await billing.get(f"sessions/{end.session_id}")
    await billing.handle(late)
    after = await billing.get(f"sessions/{end.session_id}")
    assert after == before
    assert (after["state"], after["meter_start_wh"], after["energy_wh"]) == ("ended", 1_000, 10_000)
    assert after["cost"] == {"amount": "4.90", "currency": "EUR"}
    assert after["record_id"]


async def test_the_first_end_stays(billing: Billing) -> None:
    await billing.tariff()
    end = billing.ended()
    await billing.handle(end, billing.ended(session_id=end.session_id, energy_wh=99_000))
    assert (await billing.get(f"sessions/{end.session_id}"))["energy_wh"] == 10_000
    record = await billing.record(end.session_id)
    assert record
    assert record["energy_wh"] == 10_000


async def test_an_unmetered_start_counts_from_the_first_register_and_says_so(
    billing: Billing,
) -> None:
    await billing.tariff()
    start = billing.started(meter_start_wh=None)
    await billing.handle(start)
    url = f"sessions/{start.session_id}"
    shown = await billing.get(url)
    assert (shown["energy_wh"], shown["cost"]) == (None, None), "not known is not free"

    async def read(*samples: MeterSample) -> tuple[int, int]:
        report = billing.report(start.session_id, samples)
        await billing.handle(MeterValuesReported(reports=(report,)))
        shown = await billing.get(url)
        assert shown["meter_start_wh"] is None
        return shown["meter_start_assumed_wh"], shown["energy_wh"]

    # What is read by the clock may be of the station, not of its session: only if nothing else is.
    assert await read(register("900000", context="Sample.Clock")) == (900_000, 0)
    assert await read(register("903000.4", 180)) == (903_000, 0), "never the whole odometer"
    # A phase is not the sum, and an outlet not the inlet.
    others = (register("5", 121, phase="L1"), register("6", 122, location="Inlet"))
    assert await read(register("902000.5", 120), *others) == (902_001, 999)
    # As the gateway does at the end, whatever came before.
    begin = register("902500", 200, context="Transaction.Begin")
    assert await read(begin, register("906500", 600)) == (902_500, 4000)
    assert (await billing.get(url))["cost"] == {"amount": "1.96", "currency": "EUR"}

    end = billing.ended(session_id=start.session_id, meter_start_wh=902_500, energy_wh=4000)
    await billing.handle(end)
    shown = await billing.get(url)
    assert (shown["meter_start_wh"], shown["meter_start_assumed_wh"]) == (902_500, None)
    assert shown["cost"] == {"amount": "1.96", "currency": "EUR"}


async def test_sessions_are_listed_newest_first_by_station_user_card_and_state(
    billing: Billing,
) -> None:
    await billing.tariff()
    user_id, card_id = uuid7(), uuid7()
    # Whatever their ids are, which the gateway draws by lot.
    second, third, first = sorted(uuid4() for _ in range(3))
    plain = billing.started(session_id=first, started_at=START - timedelta(hours=1))
    mine = billing.started(session_id=second, station_id="CP-2", user_id=user_id, card_id=card_id)
    ended = billing.ended(session_id=third)
    await billing.handle(plain, mine, ended)

    async def ids(**query: Any) -> list[str]:
        return [item["id"] for item in (await billing.get("sessions", **query))["items"]]

    newest_first = [str(one.session_id) for one in (ended, mine, plain)]
    assert await ids() == newest_first
    assert await ids(station_id="CP-2") == [str(mine.session_id)]
    assert await ids(user_id=user_id) == [str(mine.session_id)]
    assert await ids(card_id=card_id) == [str(mine.session_id)]
    assert await ids(state="ended") == [str(ended.session_id)]
    page = await billing.get("sessions", limit=2)
    rest = await billing.get("sessions", limit=2, cursor=page["next_cursor"])
    assert [item["id"] for item in page["items"] + rest["items"]] == newest_first
    assert rest["next_cursor"] is None


async def test_a_nul_in_a_filter_is_refused_not_a_crash(billing: Billing) -> None:
    async with billing.as_(billing.operator_id, "sessions:read", "records:read") as client:
        for path in ("sessions", "records"):
            answer = await client.get(f"/v1/{path}", params={"station_id": "\0"})
            assert answer.status_code == 422


async def test_incidents_ask_for_a_review_even_if_they_come_before_the_session(
    billing: Billing,
) -> None:
    await billing.tariff()
    end = billing.ended(incidents=[Incident(kind="clock", detail="1970")])
    early = IncidentOpened(
        operator_id=billing.operator_id,
        session_id=end.session_id,
        station_id="CP-1",
        incident=Incident(kind="late_meter_values", detail="3 samples"),
    )
    again = early.model_copy(update={"id": uuid7()})
    await billing.handle(early, end, again)
    shown = await billing.get(f"sessions/{end.session_id}")
    assert {incident["kind"] for incident in shown["incidents"]} == {"clock", "late_meter_values"}
    assert (len(shown["incidents"]), shown["review"]) == (2, "pending")
    record = await billing.record(end.session_id)
    assert record
    assert record["review"] == "pending"
    assert (await billing.get("records", review="none"))["items"] == []
    assert len((await billing.get("records", review="pending"))["items"]) == 1


async def test_a_running_session_is_of_the_card_that_was_accepted_after_another(
    billing: Billing,
) -> None:
    await billing.tariff()
    good = billing.started(card_id=uuid7())
    nobody = {"card_id": None, "user_id": None}
    refused = {"id": uuid7(), "id_token": "STRANGER", "token_status": "Invalid", **nobody}
    stranger = good.model_copy(update=refused)
    again = stranger.model_copy(update={"id": uuid7()})
    other = good.model_copy(update={"id": uuid7(), "id_token": "OTHER", **nobody})
    for told, id_token, card_id in (
        (stranger, "STRANGER", None), (good, good.id_token, str(good.card_id)),
        # A late or a second one takes it from nobody.
        (again, good.id_token, str(good.card_id)), (other, good.id_token, str(good.card_id)),
    ):  # fmt: skip
        await billing.handle(told)
        shown = await billing.get(f"sessions/{good.session_id}")
        assert (shown["id_token"], shown["card_id"]) == (id_token, card_id)
    over = billing.ended(session_id=good.session_id)
    await billing.handle(over, stranger.model_copy(update={"id": uuid7()}))
    assert (await billing.get(f"sessions/{good.session_id}"))["id_token"] == over.id_token
