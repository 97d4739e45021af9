"""Why a record costs what it costs, and the readings that it rests on."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from common.events import (
    ChargingStateReport,
    ChargingStatesReported,
    Incident,
    MeterSample,
    MeterValuesReported,
)
from common.ids import uuid7

from .conftest import START, Billing
from .test_discount_quotas import begun
from .test_discounts import active, found_by
from .test_reviews import facts


def sample(minute: int, value: int | str, **more: Any) -> MeterSample:
    of: dict[str, Any] = {
        "measurand": "Energy.Active.Import.Register", "phase": "", "location": "Outlet",
        "context": "Sample.Periodic", "unit": "Wh",
    }  # fmt: skip
    at = START + timedelta(minutes=minute)
    return MeterSample(sampled_at=at, value=Decimal(value), **of | more)


async def test_a_record_is_explained_from_its_terms_to_what_was_decided(billing: Billing) -> None:
    tariff = await billing.tariff()
    discount = await active(billing, kind="percent", amount="10")
    session = await begun(billing, await found_by(billing))
    begin = session.started_at
    readings = [
        sample(0, 1_000 + 100 * n).model_copy(update={"sampled_at": begin + timedelta(minutes=n)})
        for n in range(3)
    ]
    state = ChargingStateReport(
        operator_id=billing.operator_id, station_id="CP-1", evse_id=1, session_id=session.id,
        at=begin, received_at=begin, state="charging",
    )  # fmt: skip
    doubt = Incident(kind="stop_repeated", detail="another value")
    end = billing.ended(
        session_id=session.id, started_at=begin, ended_at=begin + timedelta(hours=1),
        incidents=(doubt,),
    )  # fmt: skip
    await billing.handle(
        MeterValuesReported(reports=(billing.report(session.id, readings),)),
        ChargingStatesReported(reports=(state,)),
        end,
    )
    record = await billing.record(session.id)
    assert record
    dispute = {"raised_by": "customer", "reason": "too much"}
    await billing.posted(f"reviews/{session.id}/decisions", facts(energy_wh=5_000))
    correction = (await billing.get("records", session_id=session.id))["items"][0]
    await billing.posted(f"records/{correction['id']}/disputes", dispute)
    told = await billing.get(f"records/{record['id']}/explanation")
    assert told["record"]["id"] == record["id"]
    assert told["tariff"]["id"] == tariff["id"]
    assert told["terms"]["modifiers"][0]["id"] == discount["id"]
    assert [Decimal(one["amount"]) for one in told["grants"]] == [
        Decimal("0.49"), Decimal("-0.49"), Decimal("0.245"),
    ]  # fmt: skip
    assert {one["discount_id"] for one in told["grants"]} == {discount["id"]}
    assert [one["value"] for one in told["readings"]] == ["1000", "1100", "1200"]
    assert told["readings_count"] == 3
    assert [one["state"] for one in told["charging_states"]] == ["charging"]
    assert (told["review"], [one["kind"] for one in told["incidents"]]) == (
        "corrected", ["stop_repeated"],
    )  # fmt: skip
    assert [one["verdict"] for one in told["decisions"]] == ["corrected"]
    assert [one["reason"] for one in told["disputes"]] == ["too much"]
    assert [one["kind"] for one in told["records"]] == ["session", "cancellation", "correction"]
    # A correction is explained by the same terms.
    other = await billing.get(f"records/{correction['id']}/explanation")
    assert other["terms"] == told["terms"]
    assert Decimal(other["record"]["total_gross"]["amount"]) == Decimal("2.21")


async def test_readings_come_as_they_were_sent_page_by_page(billing: Billing) -> None:
    start = billing.started()
    samples = [
        sample(2, "1200.125"), sample(1, 1_100), sample(1, 230, measurand="Voltage", unit="V"),
        sample(3, 1_300), sample(1, 16, measurand="Current.Import", phase="L1", unit="A"),
    ]  # fmt: skip
    other = MeterValuesReported(reports=(billing.report(uuid7(), samples),))
    mine = MeterValuesReported(reports=(billing.report(start.session_id, samples),))
    await billing.handle(start, other, mine)
    path = f"sessions/{start.session_id}/readings"
    found: list[Any] = []
    cursor: dict[str, Any] = {}
    for _ in range(3):
        page = await billing.get(path, limit=2, **cursor)
        found += page["items"]
        cursor = {"cursor": page["next_cursor"]}
    assert cursor["cursor"] is None
    assert len(found) == 5
    moments = [one["sampled_at"] for one in found]
    assert moments == sorted(moments)
    assert found[3]["value"] == "1200.125"
    only = await billing.get(path, measurand="Voltage")
    assert [(one["value"], one["unit"]) for one in only["items"]] == [("230", "V")]


async def test_what_is_not_there_and_another_operators_is_not_found(billing: Billing) -> None:
    await billing.tariff()
    end = billing.ended()
    await billing.handle(end)
    record = await billing.record(end.session_id)
    assert record
    strangers = billing.issuer.headers(uuid7(), "records:read", "sessions:read")
    for path in (f"records/{record['id']}/explanation", f"sessions/{end.session_id}/readings"):
        answer = await billing.http.get(f"/v1/{path}", headers=strangers)
        assert answer.status_code == 404
