"""The trial balance, and the statements of the operator's own accounts."""

import csv
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.ledger import Amount, Entry, Own
from common.clock import now
from common.ids import uuid7

from .booking import booked
from .cashier import Cashier, cashier, euros

__all__ = ["cashier"]

FIELDS = ("kind", "detail", "purse", "opening", "debits", "credits", "closing")


async def lines(cashier: Cashier, **query: Any) -> list[tuple[str, ...]]:
    found = await cashier.get("trial-balance", **query)
    return [tuple(one[name] for name in FIELDS) for one in found["lines"]]


def session(account: UUID) -> Entry:
    amounts = (
        Amount(account, Decimal("-11.90")),
        Amount(Own("revenue", "19"), Decimal("10.00")),
        Amount(Own("vat", "19"), Decimal("1.90")),
    )
    return Entry(f"session:{uuid7()}", "record", now(), "EUR", amounts)


async def test_it_shows_what_each_account_was_moved_and_is(cashier: Cashier) -> None:
    first, second = await cashier.account(), await cashier.account()
    await cashier.cash(first, "20.00")
    await cashier.cash(second, "5.00")
    middle = now().isoformat()
    await cashier.made("bonuses", account_id=str(first), amount=euros("2.00"), reason="welcome")
    await booked(cashier.billing, session(first))
    assert await lines(cashier, **{"from": middle}) == [
        ("bonus_expense", "", "money", "0", "2.00", "0", "-2.00"),
        ("cash", "", "money", "-25.00", "0", "0", "-25.00"),
        ("customer", "", "bonus", "0", "0", "2.00", "2.00"),
        ("customer", "", "money", "25.00", "11.90", "0", "13.10"),
        ("revenue", "19", "money", "0", "0", "10.00", "10.00"),
        ("vat", "19", "money", "0", "0", "1.90", "1.90"),
    ]
    assert await lines(cashier, to=middle) == [
        ("cash", "", "money", "0", "25.00", "0", "-25.00"),
        ("customer", "", "money", "0", "0", "25.00", "25.00"),
    ]


async def test_the_file_says_the_same(cashier: Cashier) -> None:
    await cashier.cash(await cashier.account(), "20.00")
    told = await cashier.api.get("/v1/trial-balance", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(StringIO(told.text.removeprefix("\ufeff")), delimiter=";"))
    assert [(one["kind"], one["closing"]) for one in rows] == [
        ("cash", "-20.00"),
        ("customer", "20.00"),
    ]


async def test_each_of_the_operators_own_accounts_has_a_statement(cashier: Cashier) -> None:
    account = await cashier.account()
    await cashier.cash(account, "20.00")
    await booked(cashier.billing, session(account))
    found = (await cashier.get("trial-balance"))["lines"]
    for line in found:
        if line["account_id"] is None:
            assert line["kind"] == "customer"
            continue
        statement = await cashier.get(f"accounts/{line['account_id']}/statement")
        assert statement["closing"]["money"] == line["closing"]
    (revenue,) = [one["account_id"] for one in found if one["kind"] == "revenue"]
    (movement,) = (await cashier.get(f"accounts/{revenue}/statement"))["movements"]
    assert (movement["kind"], movement["money"]) == ("record", "10.00")


async def test_the_books_are_for_staff_who_see_every_location(cashier: Cashier) -> None:
    await cashier.cash(await cashier.account(), "20.00")
    (cash,) = [
        one["account_id"]
        for one in (await cashier.get("trial-balance"))["lines"]
        if one["kind"] == "cash"
    ]
    billing = cashier.billing
    async with billing.as_(billing.operator_id, "accounts:read", locations=[str(uuid4())]) as clerk:
        for path in ("trial-balance", f"accounts/{cash}/statement"):
            answer = await clerk.get(f"/v1/{path}")
            assert answer.json()["type"].endswith(":books-of-every-location"), answer.text
    async with billing.as_(uuid4(), "accounts:read") as others:
        assert (await others.get("/v1/trial-balance")).json()["lines"] == []
        assert (await others.get(f"/v1/accounts/{cash}/statement")).status_code == 404


async def test_a_time_that_ends_before_it_begins_is_refused(cashier: Cashier) -> None:
    turned = {"from": now().isoformat(), "to": (now() - timedelta(days=1)).isoformat()}
    answer = await cashier.api.get("/v1/trial-balance", params=turned)
    assert answer.json()["type"].endswith(":statement-reversed")


moves = st.tuples(
    st.sampled_from(["EUR", "CHF"]),
    st.sampled_from([Own("bank"), Own("cash"), Own("fees"), Own("revenue", "19")]),
    st.sampled_from([Own("suspense"), Own("write_off"), Own("vat", "19")]),
    st.decimals("-50", "50", places=2).filter(bool),
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(moves, min_size=1, max_size=8), st.floats(0, 1))
async def test_whatever_is_booked_it_sums_to_zero_and_each_line_adds_up(
    cashier: Cashier, moved: Sequence[tuple[str, Own, Own, Decimal]], cut: float
) -> None:
    began = now()
    for currency, one, other, amount in moved:
        amounts = (Amount(one, amount), Amount(other, -amount))
        entry = Entry(f"moved:{uuid7()}", "adjustment", now(), currency, amounts)
        await booked(cashier.billing, entry)
    middle = (began + (now() - began) * cut).isoformat()
    before = (await cashier.get("trial-balance", to=middle))["lines"]
    after = (await cashier.get("trial-balance", **{"from": middle}))["lines"]
    for found in (before, after):
        for currency in ("EUR", "CHF"):
            assert not sum(Decimal(one["closing"]) for one in found if one["currency"] == currency)
        for one in found:
            amounts_of = {name: Decimal(one[name]) for name in FIELDS[3:]}
            assert (
                amounts_of["closing"]
                == amounts_of["opening"] - amounts_of["debits"] + amounts_of["credits"]
            )
    was = {(one["account_id"], one["currency"]): one["closing"] for one in before}
    for one in after:
        opening = Decimal(one["opening"])
        assert opening == Decimal(was.get((one["account_id"], one["currency"]), "0"))
