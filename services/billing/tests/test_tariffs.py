from datetime import timedelta
from typing import Any

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


async def test_the_next_tariff_begins_after_the_newest(billing: Billing) -> None:
    soon = now() + timedelta(hours=1)
    first = await billing.tariff(valid_from="2026-01-01T00:00:00Z")
    second = await billing.tariff(valid_from=soon.isoformat())
    for start in (soon, soon - timedelta(minutes=1)):
        refused = await post(billing, valid_from=start.isoformat())
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:openlade:problem:tariff-overlap"
    listed = (await billing.get("tariffs"))["items"]
    assert [tariff["id"] for tariff in listed] == [second["id"], first["id"]]
    # Another operator's tariffs are no obstacle.
    billing.operator_id = uuid7()
    await billing.tariff()


async def test_only_the_first_tariff_may_begin_in_the_past(billing: Billing) -> None:
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
        {"name": "a\0b"},
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
