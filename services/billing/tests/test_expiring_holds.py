"""A hold that is kept for longer while it is about to expire is not lost."""

import asyncio
from datetime import timedelta
from decimal import Decimal

from stack import eventually

from billing.ledger import holds, prepaid
from common.clock import now
from common.ids import uuid7

from .booking import WALLET, balance, booked, booking, opened, top_up, wide
from .conftest import Billing


async def waiting(billing: Billing, count: int) -> None:
    async def wait() -> bool:
        query = (
            "select count(*) as n from pg_stat_activity where datname = current_database() "
            "and wait_event_type = 'Lock'"
        )
        return bool((await billing.stored(query))[0]["n"] >= count)

    await eventually(wait)


async def test_a_hold_that_is_kept_for_longer_as_it_expires_is_kept(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "10"))
    session_id = uuid7()
    key = holds.key_of(session_id)
    async with booking(billing) as db:
        past = now() - timedelta(seconds=1)
        await holds.begin(db, billing.operator_id, account, session_id, Decimal(5), past)
    made, connections = wide(billing, 2)
    async with booking(billing) as db:
        later = now() + timedelta(days=3)
        assert await holds.extend(db, billing.operator_id, key, Decimal(6), later) == 6
        expiring = asyncio.create_task(prepaid.expire_once(connections))
        await waiting(billing, 1)
    await expiring
    await made.dispose()
    assert await balance(billing, account) == (10, 0, 6)
