"""Transfers: the reference and the code a customer pays by, and what a bank's statement makes."""

import asyncio
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import httpx
import pytest
import zxingcpp
from bank_files import entry, file
from PIL import Image

from billing.payments import references
from common.clock import now
from common.ids import uuid7

from .booking import opened
from .cashier import IBAN, Cashier, cashier, euros
from .conftest import Billing

__all__ = ["cashier"]


async def reference(cashier: Cashier, account: UUID) -> str:
    return str((await cashier.get(f"accounts/{account}/transfer"))["reference"])


async def sent(cashier: Cashier, data: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/xml"}
    return await cashier.api.post("/v1/bank-statements", content=data, headers=headers)


async def counts(cashier: Cashier, *entries: str, **more: Any) -> dict[str, int]:
    """Of the import, without those that are none."""
    answer = await sent(cashier, file(*entries, **more))
    assert answer.status_code == 201, answer.text
    return {name: number for name, number in answer.json()["counts"].items() if number}


async def test_an_account_has_one_reference_for_good_also_if_many_ask_at_once(
    cashier: Cashier,
) -> None:
    await cashier.operator()
    account = await cashier.account()
    found = await asyncio.gather(*(reference(cashier, account) for _ in range(8)))
    assert len(set(found)) == 1
    assert references.checked(found[0]) == found[0]
    told = await cashier.get(f"accounts/{account}/transfer")
    assert (told["payee"], told["iban"], told["bic"]) == ("Ladewerke GmbH", IBAN, "COBADEFFXXX")
    assert told["printed"].replace(" ", "") == told["reference"]
    assert await reference(cashier, await cashier.account()) != found[0]


async def test_the_code_of_a_transfer_is_read_by_a_banking_app(cashier: Cashier) -> None:
    await cashier.operator(account_holder="Ladewerke Treuhand")
    account = await cashier.account()
    path = f"/v1/accounts/{account}/transfer/code"
    png = await cashier.api.get(path, params={"amount": "49.90", "format": "png"})
    assert png.headers["content-type"] == "image/png"
    read = zxingcpp.read_barcode(Image.open(BytesIO(png.content)))
    assert read is not None
    lines = read.text.split("\n")
    assert lines[5:8] == ["Ladewerke Treuhand", IBAN, "EUR49.90"]
    assert lines[9] == await reference(cashier, account)
    svg = await cashier.api.get(path, params={"amount": "49.90"})
    assert svg.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in svg.content
    for amount in ("0", "-1", "1.001", "1000000000", "x", "NaN"):
        assert (await cashier.api.get(path, params={"amount": amount})).status_code == 422, amount


async def test_no_code_without_a_bank_account_or_in_another_currency(
    cashier: Cashier, billing: Billing
) -> None:
    account = await cashier.account()
    answer = await cashier.api.get(f"/v1/accounts/{account}/transfer")
    assert answer.json()["type"].endswith("no-bank-account")
    await cashier.operator()
    await billing.stored("update account set currency = 'CHF' where id = $1", account)
    path = f"/v1/accounts/{account}/transfer/code"
    answer = await cashier.api.get(path, params={"amount": "1"})
    assert answer.json()["type"].endswith("not-in-euros")
    assert (await cashier.api.get(f"/v1/accounts/{uuid7()}/transfer")).status_code == 404


async def test_staff_credit_a_transfer_by_its_reference(cashier: Cashier) -> None:
    await cashier.operator()
    account = await cashier.account()
    body = {
        "way": "bank", "amount": euros("30.00"), "received_on": "2026-03-02",
        "reason": "found on the account",
    }  # fmt: skip
    of = await reference(cashier, account)
    made = await cashier.made("topups", reference=f" {of.lower()[:6]} {of[6:]}", **body)
    assert (made["account_id"], made["state"]) == (str(account), "paid")
    assert await cashier.balance(account) == ("30.00", "0.00", "0.00")
    slip = of[:-1] + str((int(of[-1]) + 1) % 10)
    assert (await cashier.post("topups", reference=slip, **body)).status_code == 422
    nobodys = await cashier.post("topups", reference=references.made(1), **body)
    assert nobodys.json()["type"].endswith("unknown-reference")
    neither = await cashier.post("topups", **body)
    assert neither.json()["type"].endswith("unknown-account")


async def test_a_statement_credits_by_reference_each_transfer_once_in_whatever_file(
    cashier: Cashier,
) -> None:
    await cashier.operator()
    ada, ben = await cashier.account(), await cashier.account()
    of_ada, of_ben = await reference(cashier, ada), await reference(cashier, ben)
    first = entry("50.00", text=["Danke", of_ada[:7], of_ada[7:].lower()], bank_reference="B-1")
    second = entry("20.00", structured=of_ben, bank_reference="B-2")
    third = entry("7.00", end_to_end=of_ben, bank_reference="B-3")
    strange = entry("9.99", text=["Miete"], bank_reference="B-4")
    paid_out = entry("5.00", incoming=False)
    data = file(first, second, third, strange, paid_out)
    answer = await sent(cashier, data)
    assert answer.status_code == 201, answer.text
    told = answer.json()["counts"]
    assert (told["entries"], told["matched"], told["unmatched"], told["debits"]) == (4, 3, 1, 1)
    assert await cashier.balance(ada) == ("50.00", "0.00", "0.00")
    assert await cashier.balance(ben) == ("27.00", "0.00", "0.00")
    again = await sent(cashier, data)
    assert (again.status_code, again.json()) == (200, answer.json())
    # Another extract of the same days, with one more.
    late = entry("1.00", text=[of_ada], bank_reference="B-5")
    other = await counts(cashier, second, late, first, statement_id="extract")
    assert other == {"entries": 3, "repeated": 2, "matched": 1}
    assert await cashier.balance(ada) == ("51.00", "0.00", "0.00")
    topups = (await cashier.get("topups", account_id=ada))["items"]
    assert [one["made_by"] for one in topups] == ["bank statement"] * 2
    assert topups[-1]["receipt"] == "B-1"


async def test_the_same_file_many_times_at_once_credits_once(cashier: Cashier) -> None:
    await cashier.operator()
    account = await cashier.account()
    data = file(entry("50.00", text=[await reference(cashier, account)]))
    answers = await asyncio.gather(*(sent(cashier, data) for _ in range(6)))
    assert sorted(one.status_code for one in answers) == [200] * 5 + [201]
    assert await cashier.balance(account) == ("50.00", "0.00", "0.00")


async def test_two_alike_transfers_of_one_day_are_two(cashier: Cashier) -> None:
    await cashier.operator()
    account = await cashier.account()
    twin = entry("20.00", text=[await reference(cashier, account)])
    assert await counts(cashier, twin, twin) == {"entries": 2, "matched": 2}
    assert await cashier.balance(account) == ("40.00", "0.00", "0.00")


async def test_what_names_no_account_or_two_or_was_taken_back_waits_for_staff(
    cashier: Cashier, billing: Billing
) -> None:
    await cashier.operator()
    ada, ben, closed = [await cashier.account() for _ in range(3)]
    refs = [await reference(cashier, one) for one in (ada, ben, closed)]
    await billing.stored("update account set state = 'closed' where id = $1", closed)
    told = await counts(
        cashier,
        entry("1.00", text=["no reference"]),
        entry("2.00", text=refs[:2]),
        entry("3.00", text=[refs[0]], currency="CHF"),
        entry("4.00", text=[refs[0]], incoming=False, reversal=True),
        entry("5.00", text=[refs[2]]),
    )
    assert told == {"entries": 5, "unmatched": 5}
    items = (await cashier.get("bank-entries", state="unmatched"))["items"]
    assert [one["why"].split()[0:3] for one in items] == [
        ["it", "names", "no"],
        ["it", "names", "several"],
        ["the", "account", "is"],
        ["the", "bank", "has"],
        ["the", "account", "is"],
    ]
    assert await cashier.balance(ada) == ("0.00", "0.00", "0.00")

    first, second, _, taken, _ = items
    body = {"account_id": str(ben), "reason": "he called"}
    for _ in range(2):  # the same again changes nothing
        answer = await cashier.api.post(f"/v1/bank-entries/{first['id']}/assign", json=body)
        assert (answer.status_code, answer.json()["state"]) == (200, "matched"), answer.text
    assert await cashier.balance(ben) == ("1.00", "0.00", "0.00")
    assert answer.json()["decided_by"] == "test"
    other = await cashier.api.post(
        f"/v1/bank-entries/{first['id']}/assign", json=body | {"account_id": str(ada)}
    )
    assert other.json()["type"].endswith("entry-decided")
    back = await cashier.api.post(f"/v1/bank-entries/{taken['id']}/assign", json=body)
    assert back.json()["type"].endswith("taken-back")
    gone = {"reason": "our own"}
    for _ in range(2):
        answer = await cashier.api.post(f"/v1/bank-entries/{second['id']}/dismiss", json=gone)
        assert (answer.json()["state"], answer.json()["why"]) == ("dismissed", "our own")
    refused = await cashier.api.post(f"/v1/bank-entries/{second['id']}/assign", json=body)
    assert refused.json()["type"].endswith("entry-decided")


async def test_many_who_assign_one_transfer_at_once_credit_it_once(cashier: Cashier) -> None:
    await cashier.operator()
    await counts(cashier, entry("8.00", text=["x"]))
    (waiting,) = (await cashier.get("bank-entries", state="unmatched"))["items"]
    accounts = [await cashier.account() for _ in range(5)]
    path = f"/v1/bank-entries/{waiting['id']}/assign"
    answers = await asyncio.gather(
        *(
            cashier.api.post(path, json={"account_id": str(one), "reason": "mine"})
            for one in accounts
        )
    )
    assert sorted(one.status_code for one in answers) == [200, 409, 409, 409, 409]
    balances = [(await cashier.balance(one))[0] for one in accounts]
    assert sorted(balances) == ["0.00"] * 4 + ["8.00"]


async def test_what_staff_have_credited_is_linked_and_not_credited_again(
    cashier: Cashier,
) -> None:
    await cashier.operator()
    account = await cashier.account()
    of = await reference(cashier, account)
    body = {
        "way": "bank", "reference": of, "amount": euros("30.00"), "received_on": "2026-03-01",
        "reason": "found on the account",
    }  # fmt: skip
    made = await cashier.made("topups", **body)
    twin = entry("30.00", text=[of], bank_reference="B-1")
    assert await counts(cashier, twin) == {"entries": 1, "linked": 1}
    assert await cashier.balance(account) == ("30.00", "0.00", "0.00")
    (kept,) = (await cashier.get("bank-entries", state="matched"))["items"]
    assert kept["topup_id"] == made["id"]
    # A second one is another; and staff are told if they come after the statement.
    other = entry("30.00", text=[of], bank_reference="B-2")
    assert await counts(cashier, other) == {"entries": 1, "matched": 1}
    refused = await cashier.post("topups", **body)
    assert refused.json()["type"].endswith("already-imported")
    assert (await cashier.post("topups", **body, confirm=True)).status_code == 201
    assert await cashier.balance(account) == ("90.00", "0.00", "0.00")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not-a-bank-statement"),
        (b"<!DOCTYPE x><Document/>", "not-a-bank-statement"),
        (file(entry("5.00"), iban="DE02120300000000202051"), "of-another-bank-account"),
    ],
)
async def test_a_file_that_is_none_or_of_another_account_changes_nothing(
    cashier: Cashier, data: bytes, problem: str
) -> None:
    await cashier.operator()
    answer = await sent(cashier, data)
    assert (answer.status_code, answer.json()["type"].endswith(problem)) == (422, True)
    assert (await cashier.get("bank-statements"))["items"] == []
    assert (await cashier.get("bank-entries"))["items"] == []


async def test_without_the_operators_iban_nothing_is_imported(cashier: Cashier) -> None:
    answer = await sent(cashier, file(entry("5.00")))
    assert answer.json()["type"].endswith("of-another-bank-account")


async def test_a_statement_with_hundreds_of_transfers_is_taken_whole(
    cashier: Cashier, billing: Billing
) -> None:
    await cashier.operator()
    account = await opened(billing)
    of = await reference(cashier, account)
    many = [
        entry("1.00", text=[of if number % 10 == 0 else "x"], bank_reference=f"B-{number}")
        for number in range(600)
    ]
    assert await counts(cashier, *many) == {"entries": 600, "matched": 60, "unmatched": 540}
    assert await cashier.balance(account) == ("60.00", "0.00", "0.00")


@pytest.mark.parametrize(
    "wrong",
    [
        {"received_on": "1999-11-28"},
        # Two days ahead would be tomorrow for a run that began before midnight.
        {"received_on": (now() + timedelta(days=3)).date().isoformat()},
        {"amount": {"amount": "1e3", "currency": "EUR"}},
        {"amount": {"amount": 10.1, "currency": "EUR"}},
        {"amount": {"amount": "10.105", "currency": "EUR"}},
        {"amount": {"amount": "0.00", "currency": "EUR"}},
    ],
)
async def test_a_slip_in_a_transfer_is_refused(cashier: Cashier, wrong: dict[str, Any]) -> None:
    account = await cashier.account()
    body: dict[str, Any] = {
        "way": "bank", "account_id": str(account), "amount": euros("30.00"),
        "received_on": "2026-03-01", "reason": "found on the account",
    }  # fmt: skip
    answer = await cashier.post("topups", **body | wrong)
    assert answer.status_code == 422, answer.text
    assert await cashier.balance(account) == ("0.00", "0.00", "0.00")
