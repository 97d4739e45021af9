"""What tests of the ledger share: accounts, entries, and the balance that comes of them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from billing.ledger import Amount, Entry, Own, account_for, post
from billing.terms import Terms, to_json
from common.clock import now
from common.database import Connections, engine
from common.ids import uuid7

from .conftest import Billing

WALLET: dict[str, Any] = {"credit_limit": Decimal(0)}
BANK = Own("bank")


@asynccontextmanager
async def booking(billing: Billing) -> AsyncIterator[AsyncSession]:
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        yield db


async def opened(billing: Billing, owner_id: UUID | None = None, **more: Any) -> UUID:
    """A user's account."""
    async with booking(billing) as db:
        return await account_for(
            db, billing.operator_id, "user", owner_id or uuid7(), "EUR", **more
        )


def top_up(account: UUID, amount: str, event_id: str | None = None) -> Entry:
    sum_ = Decimal(amount)
    return Entry(
        event_id=event_id or f"top-up:{uuid7()}",
        kind="top_up",
        at=now(),
        currency="EUR",
        amounts=(Amount(account, sum_), Amount(BANK, -sum_)),
    )


def bonus(account: UUID, amount: str) -> Entry:
    given = Decimal(amount)
    return Entry(
        event_id=f"bonus:{uuid7()}",
        kind="bonus",
        at=now(),
        currency="EUR",
        amounts=(Amount(account, given, "bonus"), Amount(Own("bonus_expense"), -given)),
    )


async def booked(billing: Billing, *entries: Entry) -> None:
    """In one transaction."""
    async with booking(billing) as db:
        for entry in entries:
            await post(db, billing.operator_id, entry)


async def balance(billing: Billing, account: UUID) -> tuple[Any, Any, Any]:
    """Money, bonus, held."""
    rows = await billing.stored("select * from balance where account_id = $1", account)
    return rows[0]["posted"], rows[0]["bonus"], rows[0]["held"]


def wide(billing: Billing, connections: int) -> tuple[AsyncEngine, Connections]:
    """More connections than the service has, for what is to happen at the same time."""
    url = str(billing.app.state.parts.settings.database_url)
    made = engine(url, "billing", pool_size=connections)
    return made, Connections(made)


async def pays(billing: Billing, session_id: UUID, account: UUID | None, **more: Any) -> None:
    """Have a running session paid by an account, as a strategy would when it begins."""
    of = Terms(method=more.pop("method", "prepaid"), account_id=account, **more)
    found = await billing.stored(
        "update session set terms = $2 where id = $1 returning id",
        session_id,
        json.dumps(to_json(of)),
    )
    assert found
