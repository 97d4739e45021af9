"""Records found by anything, in any order, page by page, and as files."""

import csv
import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from openpyxl import load_workbook
from stack import Running

from common import exports
from common.events import (
    Incident,
    SessionEnded,
    StationChanged,
    StationGroupChanged,
    StationGroupMembersChanged,
)
from common.ids import uuid7

from .conftest import START, Billing

IDS = ("user_id", "card_id", "company_id", "cost_centre_id", "partner_id")


@pytest.fixture
async def ends(billing: Billing) -> list[SessionEnded]:
    """Of 1, 2 and 3 kWh, the first with everything that can be asked for."""
    await billing.tariff(energy_price="0.50")
    of_first: dict[str, Any] = {name: uuid7() for name in IDS}
    group = uuid7()
    holder = {name: of_first.pop(name) for name in IDS[2:]} | {"user_group_ids": (uuid7(), group)}
    doubt = Incident(kind="stop_repeated", detail="another value")
    first = billing.ended(
        station_id="CP-2", evse_id=2, energy_wh=1_000, id_token="04ab", transaction_id="99",
        started_at=START - timedelta(hours=3), ended_at=START - timedelta(hours=2),
        holder=holder, incidents=(doubt,), **of_first,
    )  # fmt: skip
    second = billing.ended(energy_wh=2_000, ended_at=START + timedelta(hours=2))
    third = billing.ended(energy_wh=3_000, ended_at=START + timedelta(hours=1))
    # Closed in another order than they began in.
    await billing.handle(third, first, second)
    return [first, second, third]


async def found(billing: Billing, path: str = "records", **query: Any) -> list[int]:
    """The kWh of what is found."""
    items = (await billing.get(path, **query))["items"]
    return [one["energy_wh"] // 1000 for one in items]


async def test_records_and_sessions_are_found_by_whatever_is_true_of_them(
    billing: Billing, ends: list[SessionEnded]
) -> None:
    first, second, _ = ends
    assert first.holder
    location, station_group = uuid7(), uuid7()
    at: dict[str, Any] = {"operator_id": billing.operator_id, "station_id": "CP-2", "version": 1}
    await billing.handle(
        StationChanged(**at, name="2", location_id=location, active=True, evses=()),
        StationGroupChanged(
            operator_id=billing.operator_id, group_id=station_group, version=1, name="Deck 2"
        ),
        StationGroupMembersChanged(
            operator_id=billing.operator_id, group_id=station_group, version=2, added=("CP-2",)
        ),
    )  # fmt: skip
    tariff = (await billing.get("records"))["items"][0]["tariff_id"]
    series = (await billing.get(f"tariffs/{tariff}"))["series_id"]
    of_first = {
        "station_id": "CP-2", "evse_id": 2, "station_group_id": station_group,
        "location_id": location, "user_id": first.user_id, "card_id": first.card_id,
        "company_id": first.holder.company_id, "cost_centre_id": first.holder.cost_centre_id,
        "partner_id": first.holder.partner_id, "user_group_id": first.holder.user_group_ids[1],
        "transaction_id": "99", "text": "04AB", "started_to": START.isoformat(),
        "ended_to": START.isoformat(), "energy_max_wh": 1_999, "review": "pending",
    }  # fmt: skip
    for path in ("records", "sessions"):
        for name, value in of_first.items():
            assert await found(billing, path, **{name: value}) == [1], (path, name)
        assert await found(billing, path, text="99") == [1]
        assert set(await found(billing, path, tariff_id=tariff)) == {1, 2, 3}
        assert set(await found(billing, path, series_id=series)) == {1, 2, 3}
        assert set(await found(billing, path, review="none")) == {2, 3}
        assert set(await found(billing, path, started_from=START.isoformat())) == {2, 3}
        assert await found(billing, path, ended_from=second.ended_at.isoformat()) == [2]
        assert await found(billing, path, energy_min_wh=2_000, energy_max_wh=2_000) == [2]
        for name in ("account_id", "strategy_id", "agreement_id", "series_id", "location_id"):
            assert await found(billing, path, **{name: uuid7()}) == [], name
    assert await found(billing, gross_min="0.51", gross_max="1.00") == [2]
    assert await found(billing, kind="correction") == []
    assert await found(billing, currency="CHF") == []
    assert len(await found(billing, late=True)) == 3
    assert await found(billing, session_id=first.session_id) == [1]
    assert await found(billing, "sessions", state="running") == []


async def test_records_of_an_account_and_a_strategy_are_those_of_its_terms(
    billing: Billing, ends: list[SessionEnded]
) -> None:
    account, strategy = uuid7(), uuid7()
    said = f'{{"account_id": "{account}", "strategy_id": "{strategy}"}}'
    change = "update session set terms = $1::jsonb where id = $2"
    start = billing.started()
    await billing.handle(start)
    await billing.stored(change, said, start.session_id)
    await billing.handle(billing.ended(session_id=start.session_id, energy_wh=7_000))
    for path in ("records", "sessions"):
        assert await found(billing, path, account_id=account) == [7]
        assert await found(billing, path, strategy_id=strategy) == [7]


@pytest.mark.parametrize(
    ("sort", "upwards"),
    [
        ("closed_at", [3, 1, 2]),
        ("started_at", [1, 3, 2]),
        ("ended_at", [1, 3, 2]),
        ("energy_wh", [1, 2, 3]),
        ("total_gross", [1, 2, 3]),
    ],
)
async def test_records_come_in_any_order_page_by_page(
    billing: Billing, ends: list[SessionEnded], sort: str, upwards: list[int]
) -> None:
    for order, expected in (("asc", upwards), ("desc", upwards[::-1])):
        pages: list[int] = []
        cursor: dict[str, Any] = {}
        for _ in expected:
            page = await billing.get("records", sort=sort, order=order, limit=1, **cursor)
            pages += [one["energy_wh"] // 1000 for one in page["items"]]
            cursor = {"cursor": page["next_cursor"]}
        assert (pages, cursor["cursor"]) == (expected, None)


async def test_a_cursor_of_another_order_is_refused(
    billing: Billing, ends: list[SessionEnded]
) -> None:
    page = await billing.get("records", sort="energy_wh", limit=1)
    headers = billing.issuer.headers(billing.operator_id, "records:read")
    good = page["next_cursor"]
    for cursor, sort in (
        (good, "total_gross"), (good, "closed_at"), (good[:-3], "energy_wh"), ("AAAA", "ended_at"),
    ):  # fmt: skip
        answer = await billing.http.get(
            "/v1/records", params={"sort": sort, "cursor": cursor}, headers=headers
        )
        assert answer.status_code == 422, (sort, answer.text)
        assert answer.json()["type"].endswith(":invalid-cursor")


@pytest.mark.parametrize(
    "query",
    [
        {"energy_min_wh": 10**30}, {"evse_id": 2**40}, {"gross_min": "NaN"}, {"text": "a\0"},
        {"gross_min": "1e400"}, {"sort": "id_token"}, {"started_from": "2026-01-01T00:00:00"},
        {"review": "maybe"}, {"limit": 0}, {"account_id": "me"},
    ],
)  # fmt: skip
async def test_what_no_record_can_be_is_refused(billing: Billing, query: dict[str, Any]) -> None:
    headers = billing.issuer.headers(billing.operator_id, "records:read")
    answer = await billing.http.get("/v1/records", params=query, headers=headers)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("path", ["records", "records/export", "sessions", "reviews"])
async def test_a_slip_in_the_name_of_a_filter_is_refused_not_answered_with_everything(
    billing: Billing, path: str
) -> None:
    headers = billing.issuer.headers(billing.operator_id, "records:read", "sessions:read")
    for slip in ("statoin_id", "operator_id"):
        answer = await billing.http.get(f"/v1/{path}", params={slip: "X"}, headers=headers)
        assert answer.status_code == 422, answer.text
        assert slip in answer.text


async def download(billing: Billing, operator_id: UUID | None = None, **query: Any) -> bytes:
    headers = billing.issuer.headers(operator_id or billing.operator_id, "records:read")
    answer = await billing.http.get("/v1/records/export", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


def table(content: bytes) -> list[dict[str, str]]:
    text = content.decode().removeprefix(exports.BOM)
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


async def test_records_leave_as_csv_and_as_a_spreadsheet(
    billing: Billing, ends: list[SessionEnded]
) -> None:
    third, first, second = table(await download(billing))
    assert [one["energy_wh"] for one in (first, second, third)] == ["1000", "2000", "3000"]
    assert first["total_gross"] == "0.50"
    assert first["review"] == "pending"
    assert first["id_token"] == "04ab"
    assert first["cost_centre_id"] == str(ends[0].holder and ends[0].holder.cost_centre_id)
    assert first["started_at"] == "2026-03-02T07:00:00Z"
    assert [one["energy_wh"] for one in table(await download(billing, station_id="CP-1"))] == [
        "3000", "2000",
    ]  # fmt: skip
    book = load_workbook(io.BytesIO(await download(billing, format="xlsx", energy_max_wh=1_000)))
    header, row = book.active.values
    assert list(header) == list(first)
    shown = dict(zip(header, row, strict=True))
    assert (shown["energy_wh"], shown["total_gross"], shown["id_token"]) == (1_000, 0.5, "04ab")
    assert table(await download(billing, uuid7())) == []


async def test_the_file_says_the_vat_by_rate_and_whether_the_energy_is_proven(
    billing: Billing, ends: list[SessionEnded]
) -> None:
    several = '[{"vat_percent": "7", "net": "10.00", "vat": "0.70", "gross": "10.70"}, '
    several += '{"vat_percent": "19", "net": "20.00", "vat": "3.80", "gross": "23.80"}, '
    several += '{"vat_percent": null, "net": "1.00", "vat": "0.00", "gross": "1.00"}]'
    for end, taxes in ((ends[1], several), (ends[2], None)):
        change = "update record set taxes = $1::jsonb where session_id = $2"
        await billing.stored(change, taxes, end.session_id)
    third, first, second = table(await download(billing))
    assert first["taxes"] == "19:0.42+0.08"
    assert second["taxes"] == "7:10.00+0.70|19:20.00+3.80|:1.00+0.00"
    assert third["taxes"] == "19:1.26+0.24", "one rate, from before they were kept"
    assert {one["signature"] for one in (first, second, third)} == {"none"}


async def test_a_spreadsheet_that_would_be_too_long_is_refused_and_leaves_no_file(
    billing: Billing, ends: list[SessionEnded], service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "XLSX_ROWS_MAX", 2)
    monkeypatch.setattr(exports, "BATCH", 2)
    headers = billing.issuer.headers(billing.operator_id, "records:read")
    answer = await service.http.get("/v1/records/export?format=xlsx", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith(":too-many-rows")
    assert len(table(await download(billing))) == 3
