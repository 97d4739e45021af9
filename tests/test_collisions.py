"""Two requests that wait for each other: one gives way with a problem, and loses nothing."""

import asyncio
from uuid import uuid4

from sqlalchemy import text
from stack import Issuer, Servers, one_service

from common.auth import Principal
from common.database import CameInBetween

LOCK = text("select pg_advisory_xact_lock(:key)")


async def test_the_one_that_gives_way_is_told_to_send_it_again(
    servers: Servers, issuer: Issuer
) -> None:
    caller = Principal(
        sub="somebody", operator_id=uuid4(), role="operator-admin", scopes=frozenset()
    )
    async with one_service(servers, issuer, "reporting") as service:
        both_hold_one = asyncio.Barrier(2)

        async def change(first: int, second: int) -> None:
            async with service.app.state.connections.acting(caller) as db:
                await db.execute(LOCK, {"key": first})
                await both_hold_one.wait()
                await db.execute(LOCK, {"key": second})

        ended = await asyncio.gather(change(1, 2), change(2, 1), return_exceptions=True)
    (gave_way,) = [one for one in ended if one is not None]
    assert isinstance(gave_way, CameInBetween)
    assert (gave_way.status, gave_way.sent_headers()) == (503, {"Retry-After": "1"})
