"""The statement of an account: what there was, each movement, and what there is then."""

import asyncio
import csv
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from io import BytesIO, StringIO
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from sqlalchemy import text

from billing.ledger import Amount, Entry, Own, post, statements
from common import exports
from common.clock import now
from common.ids import uuid7

from .booking import booked, booking, top_up
from .cashier import Cashier, cashier, euros

__all__ = ["cashier"]


async def statement(cashier: Cashier, account: UUID, **query: Any) -> Any:
    return await cashier.get(f"accounts/{account}/statement", **query)


async def move(cashier: Cashier, account: UUID, amount: str, at: datetime | None = None) -> None:
    sum_ = Decimal(amount)
    entry = Entry(
        event_id=f"moved:{uuid7()}",
        kind="adjustment",
        at=at or now(),
        currency="EUR",
        amounts=(Amount(account, sum_), Amount(Own("suspense"), -sum_)),
        memo="moved",
    )
    await booked(cashier.billing, entry)


async def test_a_statement_has_every_movement_with_what_it_came_of(cashier: Cashier) -> None:
    account = await cashier.account()
    before = now()
    topup = await cashier.cash(account, "20.00")
    bonus = await cashier.made(
        "bonuses", account_id=str(account), amount=euros("5.00"), reason="welcome"
    )
    answer = await cashier.post(
        f"topups/{topup['id']}/refunds", amount="3.00", reason="moved", receipt="A-1"
    )
    refund = answer.json()
    found = await statement(cashier, account, **{"from": before.isoformat()})
    assert (found["currency"], found["final"]) == ("EUR", False)
    assert found["opening"] == {"money": "0", "bonus": "0"}
    told = [
        (one["kind"], one["payment_id"], one["money"], one["bonus"]) for one in found["movements"]
    ]
    assert told == [
        ("top_up", topup["id"], "20.00", "0"),
        ("bonus", bonus["id"], "0", "5.00"),
        ("refund", refund["id"], "-3.00", "0"),
    ]
    assert found["movements"][1]["balance"] == {"money": "20.00", "bonus": "5.00"}
    assert found["closing"] == {"money": "17.00", "bonus": "5.00"}
    after = await statement(cashier, account, **{"from": now().isoformat()})
    assert (after["opening"], after["movements"]) == (found["closing"], [])


async def test_the_file_says_the_same_as_the_answer(cashier: Cashier) -> None:
    account = await cashier.account()
    await cashier.cash(account, "20.00")
    await move(cashier, account, "-7.50")
    path = f"/v1/accounts/{account}/statement"
    told = await cashier.api.get(path, headers={"Accept": "text/csv"})
    assert told.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(StringIO(told.text.removeprefix("\ufeff")), delimiter=";"))
    assert [one["kind"] for one in rows] == ["opening", "top_up", "adjustment", "closing"]
    assert [one["money"] for one in rows] == ["", "20.00", "-7.50", ""]
    assert [one["money_balance"] for one in rows] == ["0", "20.00", "12.50", "12.50"]
    sheet = await cashier.api.get(path, headers={"Accept": exports.XLSX})
    book = load_workbook(BytesIO(sheet.content), read_only=True)
    lines = list(book.worksheets[0].iter_rows(values_only=True))
    assert lines[0] == statements.HEADER
    assert [line[9] for line in lines[1:]] == [0, 20, 12.5, 12.5]
    assert lines[3][7] == -7.5


async def test_what_happened_long_ago_and_is_booked_now_stands_in_todays_statement(
    cashier: Cashier,
) -> None:
    account = await cashier.account()
    await move(cashier, account, "4.00", at=now() - timedelta(days=40))
    old = {"to": (now() - timedelta(days=30)).isoformat()}
    assert (await statement(cashier, account, **old))["movements"] == []
    assert (await statement(cashier, account, **old))["final"] is True
    recent = {"from": (now() - timedelta(days=30)).isoformat()}
    found = await statement(cashier, account, **recent)
    assert (found["opening"]["money"], found["closing"]["money"]) == ("0", "4.00")
    assert len(found["movements"]) == 1


async def test_a_movement_of_the_very_moment_is_in_what_begins_then(cashier: Cashier) -> None:
    account = await cashier.account()
    await move(cashier, account, "4.00")
    (line,) = (await statement(cashier, account))["movements"]
    before = await statement(cashier, account, to=line["booked_at"])
    after = await statement(cashier, account, **{"from": line["booked_at"]})
    assert (before["movements"], before["closing"]["money"]) == ([], "0")
    assert (after["movements"], after["opening"]["money"]) == ([line], "0")


async def test_a_statement_is_not_final_while_somebody_still_books(
    cashier: Cashier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an import of thousands of transfers does, in one transaction."""
    monkeypatch.setattr(statements, "SETTLED_AFTER", timedelta(0))
    monkeypatch.setattr(statements, "SETTLES_WITHIN_S", 0.1)
    account = await cashier.account()
    async with booking(cashier.billing) as db:
        await post(db, cashier.billing.operator_id, top_up(account, "4.00"))
        ends = {"to": now().isoformat()}
        early = await statement(cashier, account, **ends)
        assert (early["final"], early["movements"]) == (False, [])
    found = await statement(cashier, account, **ends)
    assert (found["final"], len(found["movements"])) == (True, 1)


async def test_what_was_begun_before_and_is_booked_after_a_final_statement_is_in_the_next(
    cashier: Cashier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that waits for its turn at the balance."""
    monkeypatch.setattr(statements, "SETTLED_AFTER", timedelta(0))
    account = await cashier.account()
    async with booking(cashier.billing) as db:
        await db.execute(text("select now()"))  # from here on it is the transaction's time
        middle = now().isoformat()
        before = await statement(cashier, account, to=middle)
        assert (before["final"], before["movements"]) == (True, [])
        await post(db, cashier.billing.operator_id, top_up(account, "4.00"))
    assert await statement(cashier, account, to=middle) == before
    after = await statement(cashier, account, **{"from": middle})
    assert (after["opening"]["money"], after["closing"]["money"]) == ("0", "4.00")


async def test_a_statement_waits_a_moment_for_those_who_book(
    cashier: Cashier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "SETTLED_AFTER", timedelta(0))
    monkeypatch.setattr(statements, "SETTLES_WITHIN_S", 30)
    account = await cashier.account()
    async with booking(cashier.billing) as db:
        await post(db, cashier.billing.operator_id, top_up(account, "4.00"))
        ends = {"to": now().isoformat()}
        asked = asyncio.ensure_future(statement(cashier, account, **ends))
        await asyncio.sleep(0.3)
        assert not asked.done()
    found = await asked
    assert (found["final"], len(found["movements"])) == (True, 1)


async def test_what_cannot_be_answered_is_refused(
    cashier: Cashier, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await cashier.account()
    path = f"/v1/accounts/{account}/statement"
    turned = {"from": now().isoformat(), "to": (now() - timedelta(days=1)).isoformat()}
    answer = await cashier.api.get(path, params=turned)
    assert answer.json()["type"].endswith("statement-reversed")
    assert (await cashier.api.get(f"/v1/accounts/{uuid7()}/statement")).status_code == 404
    for _ in range(3):
        await move(cashier, account, "1.00")
    monkeypatch.setattr(statements, "MOVEMENTS_MAX", 2)
    answer = await cashier.api.get(path)
    assert answer.json()["type"].endswith("too-many-movements")
    monkeypatch.setattr(statements, "BATCH", 2)
    assert (await cashier.api.get(path, headers={"Accept": "text/csv"})).text.count("\n") == 6


amounts = st.decimals("-50", "50", places=2).filter(bool).map(str)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(amounts, max_size=6), st.lists(st.floats(0, 1), max_size=3))
async def test_opening_and_movements_are_the_closing_and_that_is_the_next_opening(
    cashier: Cashier, moved: Sequence[str], cuts: Sequence[float]
) -> None:
    account = await cashier.account()
    began = now()
    for amount in moved:
        await move(cashier, account, amount)
    ended = now()
    ends = sorted(began + (ended - began) * cut for cut in cuts)
    edges = [began, *ends, ended]
    closing = {"money": Decimal(0), "bonus": Decimal(0)}
    count = 0
    for first, last in pairwise(edges):
        query = {"from": first.isoformat(), "to": last.isoformat()}
        found = await statement(cashier, account, **query)
        assert {name: Decimal(found["opening"][name]) for name in closing} == closing
        for one in found["movements"]:
            closing = {name: closing[name] + Decimal(one[name]) for name in closing}
            assert {name: Decimal(one["balance"][name]) for name in closing} == closing
        assert {name: Decimal(found["closing"][name]) for name in closing} == closing
        count += len(found["movements"])
    assert count == len(moved)
    assert f"{closing['money']:.2f}" == (await cashier.balance(account))[0]
