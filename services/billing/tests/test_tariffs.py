import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from stack import eventually

from common.clock import now
from common.events import TariffChanged
from common.ids import uuid7
from services.billing.tests.conftest import READ, WRITE, Billing

BODY = {"name": "house", "currency": "EUR", "vat_percent": "19", "energy_price": "0.49"}


async def post(billing: Billing, **fields: Any) -> Any:
    headers = billing.issuer.headers(billing.operator_id, *WRITE)
    return await billing.http.post("/v1/tariffs", json=BODY | fields, headers=headers)


async def test_a_tariff_is_set_as_written_and_begins_now_with_gross_prices(
    billing: Billing,
) -> None:
    before = now()
    answer = await post(billing, time_price="0.0250", start_fee="0.35")
    assert answer.status_code == 201
    tariff = answer.json()
    assert tariff["tax_included"] is True
    assert [tariff[name] for name in ("energy_price", "time_price", "start_fee")] == [
        "0.49",
        "0.0250",
        "0.35",
    ]
    assert before.isoformat() <= tariff["valid_from"].replace("Z", "+00:00") <= now().isoformat()
    assert await billing.get(f"tariffs/{tariff['id']}") == tariff
    assert (await billing.get("tariffs"))["items"] == [tariff]


async def test_a_tariff_with_caps_is_kept_shown_and_priced(billing: Billing) -> None:
    energy = {"type": "ENERGY", "price": "0.39", "vat": "19"}
    definition = {"elements": [{"price_components": [energy]}], "caps": {"ENERGY": "2.50"}}
    body = {"name": "capped", "currency": "EUR", "definition": definition}
    headers = billing.issuer.headers(billing.operator_id, *WRITE)
    early = {"valid_from": "2026-01-01T00:00:00Z"}
    answer = await billing.http.post("/v1/tariffs", json=body | early, headers=headers)
    assert answer.status_code == 201, answer.text
    caps = answer.json()["definition"]["caps"]
    assert {name: cap for name, cap in caps.items() if cap} == {"ENERGY": "2.50"}
    ended = billing.ended()
    await billing.handle(ended)
    record = await billing.record(ended.session_id)
    assert record is not None and record["total_gross"]["amount"] == "2.50"


async def test_a_tariff_with_a_hole_from_its_first_day_on_is_refused(billing: Billing) -> None:
    def definition(**restrictions: str) -> dict[str, Any]:
        energy = {"type": "ENERGY", "price": "0.39", "vat": "19"}
        element = {"price_components": [energy], "restrictions": restrictions}
        return {"name": "dated", "currency": "EUR", "definition": {"elements": [element]}}

    headers = billing.issuer.headers(billing.operator_id, *WRITE)

    async def sent(body: dict[str, Any], **more: str) -> Any:
        return await billing.http.post("/v1/tariffs", json=body | more, headers=headers)

    refused = await sent(definition(end_date="2026-06-01"))
    assert refused.status_code == 422
    assert "a hole" in refused.text
    begins = {"valid_from": "2026-05-31T22:00:00Z"}  # the 1st of June in Berlin
    refused = await sent(definition(start_date="2026-06-02"), **begins)
    assert "from 2026-06-01 until 2026-06-02" in refused.text
    assert (await sent(definition(start_date="2026-06-01"), **begins)).status_code == 201


async def test_a_tariff_kept_before_its_hole_would_have_been_refused_stays_readable(
    billing: Billing,
) -> None:
    energy = {"type": "ENERGY", "price": "0.39", "vat": "19"}
    tariff = await billing.tariff()
    element = {"price_components": [energy], "restrictions": {"max_kwh": "10"}}
    kept = json.dumps({"elements": [element]})
    await billing.stored(
        "update tariff set definition = $1 where id = $2 returning id", kept, UUID(tariff["id"])
    )
    shown = await billing.get(f"tariffs/{tariff['id']}")
    assert shown["definition"]["elements"][0]["restrictions"]["max_kwh"] == "10"


async def test_a_tariff_is_valid_until_another_begins_whichever_was_set_first(
    billing: Billing,
) -> None:
    soon, later = now() + timedelta(hours=1), now() + timedelta(days=36_500)
    first = await billing.tariff(valid_from="2026-01-01T00:00:00Z")
    mistyped = await billing.tariff(valid_from=later.isoformat(), energy_price="0.99")
    second = await billing.tariff(valid_from=soon.isoformat(), energy_price="0.59")
    third = await billing.tariff(valid_from=(soon - timedelta(minutes=1)).isoformat())
    for start in (soon, later):
        refused = await post(billing, valid_from=start.isoformat())
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:openlade:problem:tariff-overlap"
    listed = (await billing.get("tariffs"))["items"]
    made = [third, second, mistyped, first]
    assert [tariff["id"] for tariff in listed] == [one["id"] for one in made]
    sessions = [
        billing.started(started_at=at)
        for at in (soon - timedelta(seconds=30), soon, later - timedelta(seconds=1), later)
    ]
    await billing.handle(*sessions)
    kept = [await billing.get(f"sessions/{one.session_id}") for one in sessions]
    expected = [third, second, second, mistyped]
    assert [one["tariff_id"] for one in kept] == [one["id"] for one in expected]
    # Another operator's tariffs are no obstacle.
    billing.operator_id = uuid7()
    await billing.tariff()


async def test_sessions_that_wait_get_the_tariff_in_whose_time_they_began(
    billing: Billing,
) -> None:
    waiting, ahead = billing.ended(), billing.started(started_at=now() + timedelta(hours=2))
    await billing.handle(waiting, ahead)
    far = await billing.tariff(valid_from=(now() + timedelta(days=36_500)).isoformat())
    begins = (now() + timedelta(hours=1)).isoformat()
    later = await billing.tariff(valid_from=begins)
    # None is valid yet, so no session has a price that this one would change.
    first = await billing.tariff(energy_price="0.39")
    for session, tariff in ((waiting, first), (ahead, later)):
        kept = await billing.get(f"sessions/{session.session_id}")
        assert kept["tariff_id"] == tariff["id"] != far["id"]
    record = await billing.record(waiting.session_id)
    assert record is not None and record["total_gross"]["amount"] == "3.90"


async def test_an_agreed_tariff_has_versions_before_those_that_are_not_valid_yet(
    billing: Billing,
) -> None:
    first = await billing.tariff(agreed_only=True)
    series = {"agreed_only": True, "series_id": first["series_id"]}
    later = await billing.tariff(**series, valid_from="2126-01-01T00:00:00Z")
    between = await billing.tariff(**series, valid_from=None)
    assert first["valid_from"] < between["valid_from"] < later["valid_from"]
    refused = await post(billing, **series, valid_from="2026-02-01T00:00:00Z")
    assert refused.json()["type"] == "urn:openlade:problem:tariff-in-the-past"


async def test_no_tariff_begins_in_the_past_once_one_is_valid(billing: Billing) -> None:
    await billing.tariff(valid_from="2026-01-01T00:00:00Z")
    refused = await post(billing, valid_from=(now() - timedelta(minutes=1)).isoformat())
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:openlade:problem:tariff-in-the-past"


@pytest.mark.parametrize(
    "fields",
    [
        {"energy_price": 0.49},
        {"energy_price": "-0.01"},
        {"energy_price": "0.49001"},
        {"energy_price": "1e3"},
        {"energy_price": "NaN"},
        {"energy_price": "٣"},
        {"energy_price": "10000000"},
        {"energy_price": None},
        {"vat_percent": "100.01"},
        {"vat_percent": "-1"},
        {"currency": "euro"},
        {"currency": "ZZZ"},
        {"currency": "XXX"},
        {"name": "a\0b"},
        {"name": "a\nb"},
        {"name": "a" * 81},
        {"name": ""},
        {"valid_from": "2026-01-01T00:00:00"},
        {"valid_from": "0001-01-01T00:00:00+14:00"},
        {"valid_from": "9999-12-31T23:59:59-14:00"},
        {"operator_id": str(uuid7())},
    ],
)
async def test_a_tariff_that_is_not_exact_is_refused(
    billing: Billing, fields: dict[str, Any]
) -> None:
    refused = await post(billing, **fields)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"]


async def test_a_currency_that_is_not_in_hundredths_is_refused_with_the_reason(
    billing: Billing,
) -> None:
    for currency in ("JPY", "KWD"):
        assert "amounts are in hundredths" in (await post(billing, currency=currency)).text


async def test_a_tariff_of_a_currency_that_is_none_any_more_stays_readable(
    billing: Billing,
) -> None:
    tariff = await billing.tariff()
    changed = "update tariff set currency = 'HRK' where id = $1 returning id"
    await billing.stored(changed, UUID(tariff["id"]))
    assert (await billing.get(f"tariffs/{tariff['id']}"))["currency"] == "HRK"


async def test_a_new_tariff_is_told(billing: Billing) -> None:
    tariff = await billing.tariff()
    [told] = await eventually(lambda: billing.told(TariffChanged))
    assert told["tariff_id"] == tariff["id"]
    assert told["valid_from"] == "2026-01-01T00:00:00Z"


async def test_what_is_priced_by_cannot_be_changed_by_the_service(billing: Billing) -> None:
    tariff = await billing.tariff()
    session = billing.ended()
    await billing.handle(session)
    url = str(billing.app.state.parts.settings.database_url)
    settings = {"search_path": "billing", "role": "csms_billing", "csms.operator": "*"}
    db = await asyncpg.connect(url, server_settings=settings)
    for change in (
        f"update tariff set energy_price = 0 where id = '{tariff['id']}'",
        f"delete from tariff where id = '{tariff['id']}'",
        f"update record set total_gross = 0 where session_id = '{session.session_id}'",
        f"delete from record where session_id = '{session.session_id}'",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.execute(change)
    await db.close()


async def test_another_operator_sees_nothing_on_any_route(billing: Billing) -> None:
    tariff = await billing.tariff()
    running, ended = billing.started(), billing.ended()
    await billing.handle(running, ended)
    record = await billing.record(ended.session_id)
    assert record
    ones = [
        f"tariffs/{tariff['id']}",
        f"sessions/{running.session_id}",
        f"sessions/{ended.session_id}",
        f"records/{record['id']}",
    ]
    for path in ones:
        assert (await billing.get(path))["id"] in path
    stranger = uuid7()
    async with billing.as_(stranger, *READ) as client:
        for path in ones:
            assert (await client.get(f"/v1/{path}")).status_code == 404
        for path in ("tariffs", "sessions", "records"):
            answer = await client.get(f"/v1/{path}")
            assert answer.json() == {"items": [], "next_cursor": None}


async def test_every_table_of_operators_rows_has_a_wall_beneath_the_code(billing: Billing) -> None:
    open_ones = await billing.stored(
        "select relname from pg_class c join pg_attribute a on a.attrelid = c.oid "
        "where relnamespace = 'billing'::regnamespace and relkind = 'r' "
        "and attname = 'operator_id' and not (relrowsecurity and relforcerowsecurity)"
    )
    assert open_ones == []


async def test_every_route_wants_its_scope(billing: Billing) -> None:
    async with billing.as_(billing.operator_id, "stations:read") as client:
        for path in ("tariffs", "sessions", "records"):
            assert (await client.get(f"/v1/{path}")).status_code == 403
            assert (await client.get(f"/v1/{path}/{uuid7()}")).status_code == 403
        assert (await client.post("/v1/tariffs", json=BODY)).status_code == 403
    assert (await billing.http.get("/v1/records")).status_code == 401


async def test_a_platform_admin_names_the_operator_whose_tariff_it_sets(billing: Billing) -> None:
    async with billing.as_(None, *WRITE, role="platform-admin") as admin:
        assert (await admin.post("/v1/tariffs", json=BODY)).status_code == 400
        chosen = {"Operator-Id": str(billing.operator_id)}
        made = await admin.post("/v1/tariffs", json=BODY, headers=chosen)
        assert made.status_code == 201
    assert made.json()["operator_id"] == str(billing.operator_id)
