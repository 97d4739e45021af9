"""Lists as files."""

import csv
import io
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from stack import Running

from common import exports

from .support import made, new_operator, problem
from .test_people import SCOPES, uid


def table(answer: httpx.Response, separator: str = ";") -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    text = answer.content.decode("utf-8")
    assert text.startswith(exports.BOM)
    return list(csv.DictReader(io.StringIO(text[1:]), delimiter=separator))


def sheet(answer: httpx.Response) -> list[tuple[Any, ...]]:
    assert answer.status_code == 200, answer.text
    return list(load_workbook(io.BytesIO(answer.content)).active.values)


async def test_users_leave_as_csv_and_as_a_spreadsheet(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        group = await made(staff, "/v1/user-groups", name="Night shift")
        ada = await made(
            staff, "/v1/users", name='=HYPERLINK("x")', external_id="007", email="ada@example.org"
        )
        await made(staff, "/v1/users", name='Bob; the "second"', active=False)
        await made(staff, "/v1/cards", uid=uid(), user_id=ada["id"])
        await staff.put(f"/v1/user-groups/{group['id']}/members/{ada['id']}")
        first, second = table(await staff.get("/v1/users/export"))
        assert first == {
            "id": ada["id"], "external_id": "007", "name": "'=HYPERLINK(\"x\")",
            "email": "ada@example.org", "active": "true", "groups": "Night shift", "cards": "1",
        }  # fmt: skip
        assert (second["name"], second["active"], second["email"]) == (
            'Bob; the "second"', "false", "",
        )  # fmt: skip
        params: dict[str, Any] = {"separator": ",", "active": False}
        [only] = table(await staff.get("/v1/users/export", params=params), ",")
        assert only["name"] == second["name"]
        header, *rows = sheet(await staff.get("/v1/users/export", params={"format": "xlsx"}))
        assert header == tuple(first)
        assert rows[0] == (
            ada["id"], "007", "'=HYPERLINK(\"x\")", "ada@example.org", "true", "Night shift", 1,
        )  # fmt: skip


async def test_cards_leave_with_their_users_and_companies_and_none_of_another_operator(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        company = await made(staff, "/v1/companies", name="Acme", external_id="ACME")
        centres = f"/v1/companies/{company['id']}/cost-centres"
        centre = await made(staff, centres, code="4711", name="Sales")
        ada = await made(staff, "/v1/users", name="Ada", external_id="A-1")
        of_company = {"company_id": company["id"], "cost_centre_id": centre["id"]}
        may = {"valid_from": "2026-05-01T00:00:00Z", "monthly_cap": "12.50"}
        card = await made(staff, "/v1/cards", uid=uid(), user_id=ada["id"], **of_company, **may)
        [row] = table(await staff.get("/v1/cards/export"))
        assert row == {
            "external_id": "A-1", "name": "Ada", "email": "", "active": "true", "groups": "",
            "uid": card["uid"], "card_kind": "rfid", "label": "",
            "valid_from": "2026-05-01T00:00:00Z", "valid_until": "", "company": "ACME",
            "cost_centre": "4711", "monthly_cap": "12.50", "blocked_reason": "",
        }  # fmt: skip
        async with identity.as_(await new_operator(identity), *SCOPES) as other:
            for path in ("/v1/cards/export", "/v1/users/export"):
                assert table(await other.get(path)) == []


async def test_a_spreadsheet_is_bounded_and_csv_is_not(
    identity: Running, operator: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "XLSX_ROWS_MAX", 2)
    monkeypatch.setattr(exports, "BATCH", 2)
    async with identity.as_(operator, *SCOPES) as staff:
        names = ["Ada", "Bob", "Cyd", "Dan", "Eve"]
        for name in names:
            await made(staff, "/v1/users", name=name)
        found = table(await staff.get("/v1/users/export"))
        assert [row["name"] for row in found] == names
        answer = await staff.get("/v1/users/export", params={"format": "xlsx"})
        problem(answer, 422, "too-many-rows")


@given(st.text())
def test_no_cell_is_a_formula_and_every_text_comes_back(text: str) -> None:
    cell = exports.cell(text)
    assert isinstance(cell, str)
    assert not cell.startswith(exports.FORMULA)
    if not text.startswith("'"):
        assert exports.uncelled(cell) == text
