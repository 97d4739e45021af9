"""Double entry in the database: journals that sum to zero, booked once, never changed."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from billing.ledger import Amount, Entry, account_for, post
from billing.ledger.entries import Unbalanced
from common.clock import now
from common.database import set_operator
from common.events import AccountStandingChanged
from common.ids import uuid7

from .booking import BANK, WALLET, balance, booked, booking, opened, top_up
from .conftest import Billing

TWO_CURRENCIES = (
    (
        "insert into journal (id, operator_id, event_id, kind, at, memo, booked_by, postings) "
        "values (:id, :operator, 'fx', 'top_up', now(), '', 'x', 2)"
    ),
    (
        "insert into posting (operator_id, journal_id, account_id, currency, amount) "
        "values (:operator, :id, :euros, 'EUR', 1), (:operator, :id, :francs, 'CHF', -1)"
    ),
)


async def run(billing: Billing, role: str, *statements: str, **values: Any) -> None:
    """In one transaction. role: none for the owner of the tables."""
    async with booking(billing) as db:
        await db.execute(text(f"set local role {role}"))
        for statement in statements:
            await db.execute(text(statement), values)


async def test_what_happened_is_booked_once_and_moves_the_balance(billing: Billing) -> None:
    account = await opened(billing)
    entry = top_up(account, "50.00", "payment:1")
    async with booking(billing) as db:
        assert await post(db, billing.operator_id, entry) is not None
    async with booking(billing) as db:
        assert await post(db, billing.operator_id, entry) is None
    assert await balance(billing, account) == (50, 0, 0)
    bank = BANK.account_id(billing.operator_id, "EUR")
    rows = await billing.stored("select amount from posting where account_id = $1", bank)
    assert rows == [{"amount": Decimal(-50)}]
    other = Billing.of(billing)
    other.operator_id = uuid7()
    elsewhere = await opened(other)
    async with booking(other) as db:  # the same event id of another operator is another event
        assert await post(db, other.operator_id, top_up(elsewhere, "1", "payment:1")) is not None


async def test_an_account_is_one_a_payer_and_currency(billing: Billing) -> None:
    owner = uuid7()
    async with booking(billing) as db:
        first = await account_for(db, billing.operator_id, "user", owner, "EUR")
        again = await account_for(db, billing.operator_id, "user", owner, "EUR")
        francs = await account_for(db, billing.operator_id, "user", owner, "CHF")
    assert first == again != francs


def test_an_entry_that_does_not_sum_to_zero_cannot_be_made() -> None:
    with pytest.raises(Unbalanced):
        Entry("x", "top_up", now(), "EUR", (Amount(BANK, Decimal(1)),))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("update posting set amount = amount * 2 where journal_id = :id", "append-only"),
        ("delete from posting where journal_id = :id", "append-only"),
        ("update journal set memo = '' where id = :id", "append-only"),
        ("delete from journal where id = :id", "append-only"),
        ("truncate posting", "append-only"),
        ("truncate journal cascade", "append-only"),
        # A pair that sums to zero is not what was booked either.
        (
            (
                "insert into posting (operator_id, journal_id, account_id, currency, amount) "
                "select operator_id, journal_id, account_id, currency, -amount from posting "
                "where journal_id = :id"
            ),
            "does not balance",
        ),
        (
            (
                "insert into journal "
                "(id, operator_id, event_id, kind, at, memo, booked_by, postings) "
                "select gen_random_uuid(), operator_id, 'y', kind, at, memo, booked_by, 2 "
                "from journal where id = :id"
            ),
            "does not balance",
        ),
    ],
)
async def test_what_is_booked_stays(billing: Billing, change: str, why: str) -> None:
    """Not even the owner of the tables may change it."""
    account = await opened(billing)
    async with booking(billing) as db:
        journal = await post(db, billing.operator_id, top_up(account, "10"))
    with pytest.raises(DBAPIError, match=why):
        await run(billing, "none", change, **({"id": journal} if ":id" in change else {}))


async def test_the_service_itself_has_no_right_to_change_a_posting(billing: Billing) -> None:
    for change in ("update posting set amount = 1", "delete from journal"):
        with pytest.raises(DBAPIError, match="permission denied"):
            await run(billing, "csms_billing", change)


async def test_a_journal_of_two_currencies_must_sum_to_zero_in_each(billing: Billing) -> None:
    async with booking(billing) as db:
        euros = await account_for(db, billing.operator_id, "user", uuid7(), "EUR")
        francs = await account_for(db, billing.operator_id, "user", uuid7(), "CHF")
    values = {"operator": billing.operator_id, "euros": euros, "francs": francs, "id": uuid7()}
    with pytest.raises(DBAPIError, match="does not balance"):
        await run(billing, "csms_billing", *TWO_CURRENCIES, **values)


async def test_an_amount_in_another_currency_than_the_accounts_is_refused(
    billing: Billing,
) -> None:
    account = await opened(billing)
    amounts = (Amount(account, Decimal(1)), Amount(BANK, Decimal(-1)))
    entry = Entry("x", "top_up", now(), "CHF", amounts)
    with pytest.raises(DBAPIError, match="fk_posting_operator_id_account_id_currency"):
        await booked(billing, entry)


async def test_the_sums_of_every_operator_are_checked_when_a_transaction_has_several(
    billing: Billing,
) -> None:
    """As a batch of events has: whose turn it is at the end must not matter."""
    other = Billing.of(billing)
    account, elsewhere = await opened(billing), await opened(other)
    async with booking(billing) as db:
        await post(db, billing.operator_id, top_up(account, "1"))
        await set_operator(db, other.operator_id)
        await post(db, other.operator_id, top_up(elsewhere, "2"))
    assert (await balance(billing, account))[0] == 1
    assert (await balance(billing, elsewhere))[0] == 2


async def test_whether_an_account_may_charge_is_told_when_it_flips(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    for amount in ("5", "5"):  # the second changes nothing that anybody needs to hear
        async with booking(billing) as db:
            await post(db, billing.operator_id, top_up(account, amount))
    async with booking(billing) as db:
        await post(db, billing.operator_id, top_up(account, "-10"))
    told = [
        (one["version"], one["may_charge"], one["reason"], one["available"])
        for one in await billing.told(AccountStandingChanged)
    ]
    assert told == [
        (1, False, "no_credit", "0"),
        (2, True, None, "5"),
        (3, False, "no_credit", "0"),
    ]


async def test_an_account_without_a_limit_may_always_charge(billing: Billing) -> None:
    account = await opened(billing)
    async with booking(billing) as db:
        await post(db, billing.operator_id, top_up(account, "-1000"))
    told = await billing.told(AccountStandingChanged)
    assert [(one["may_charge"], one["available"]) for one in told] == [(True, None)]
