"""Booking: a journal with its postings, once for what happened, in one statement.

The database keeps the rules: a deferred trigger that the postings sum to zero, a trigger that none
is ever changed, one that adds them to the balance of a customer's account.

booked_at is the clock's time, not the transaction's, which may have begun long before, and waited.
So whoever has booked before a moment, and is not to be seen yet, writes the table at that moment:
statements of account look for that (billing.ledger.statements).
"""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.ledger import standing
from billing.ledger.entries import Entry, Own
from common.ids import uuid7

POST: Final = text(
    """
    with own as (
        insert into account (id, operator_id, kind, detail, currency, version)
        select id, :operator, kind, detail, :currency, 1
        from unnest(
            cast(:own_ids as uuid[]), cast(:own_kinds as text[]), cast(:own_details as text[])
        ) as o (id, kind, detail)
        order by id
        on conflict do nothing
    ),
    new as (
        insert into journal (
            id, operator_id, event_id, kind, at, memo, booked_by, record_id, payment_id, postings,
            booked_at
        )
        values (
            :id, :operator, :event_id, :kind, :at, :memo, :by, :record_id, :payment_id, :postings,
            clock_timestamp()
        )
        on conflict (operator_id, event_id) do nothing
        returning id
    ),
    posted as (
        insert into posting (operator_id, journal_id, account_id, currency, purse, amount)
        select :operator, new.id, p.account_id, :currency, p.purse, p.amount
        from new, unnest(
            cast(:accounts as uuid[]), cast(:purses as text[]), cast(:amounts as numeric[])
        ) with ordinality as p (account_id, purse, amount, place)
        order by p.place
    )
    select id from new
    """
)


async def post(db: AsyncSession, operator_id: UUID, entry: Entry) -> UUID | None:
    """The id of the journal; None: what happened was booked before, and nothing was done."""
    postings = entry.postings(operator_id)
    own = sorted(
        {
            (one.account.account_id(operator_id, entry.currency), *one.account)
            for one in entry.amounts
            if isinstance(one.account, Own)
        }
    )
    journal_id: UUID | None = await db.scalar(
        POST,
        {
            "id": uuid7(),
            "operator": operator_id,
            "currency": entry.currency,
            "event_id": entry.event_id,
            "kind": entry.kind,
            "at": entry.at,
            "memo": entry.memo,
            "by": entry.by,
            "record_id": entry.record_id,
            "payment_id": entry.payment_id,
            "postings": len(postings),
            "own_ids": [account for account, _, _ in own],
            "own_kinds": [kind for _, kind, _ in own],
            "own_details": [detail for _, _, detail in own],
            "accounts": [account for account, _, _ in postings],
            "purses": [purse for _, purse, _ in postings],
            "amounts": [amount for _, _, amount in postings],
        },
    )
    if journal_id is not None:
        customers = [one.account for one in entry.amounts if isinstance(one.account, UUID)]
        standing.touched(db, operator_id, *customers)
    return journal_id
