"""What the tests of identity share."""

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select, text
from stack import Running, eventually

from common.database import PLATFORM
from common.events import AccountingStrategyChanged
from common.ids import uuid7
from identity.tables import AccountingStrategy

BOSS = "boss@platform.example"
BOSS_PASSWORD = "correct horse battery"
ALL = ("users:read", "users:write", "cards:read", "cards:write", "authorizations:read")
PROBLEM = "urn:openlade:problem:"
# What a gateway waits for a decision is a test of its own; the machine may be busy.
ANSWERED_S = 30.0


def problem(response: httpx.Response, status: int, name: str) -> None:
    assert (response.status_code, response.json()["type"]) == (status, PROBLEM + name)
    assert response.headers["content-type"] == "application/problem+json"


async def made(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    assert response.headers["etag"] == '"1"'
    return dict(response.json())


async def new_operator(identity: Running, name: str = "Stadtwerke") -> UUID:
    async with identity.as_(None, "operators:write") as client:
        return UUID((await made(client, "/v1/operators", name=name))["id"])


async def told_strategy(
    identity: Running, operator: UUID, strategy: UUID | None = None, **more: Any
) -> str:
    """The id of an accounting strategy that billing has told of, once identity knows of it."""
    facts: dict[str, Any] = {
        "strategy_id": strategy or uuid7(), "operator_id": operator, "version": 1, "name": "S",
        "active": True, "method": "monthly",
    }  # fmt: skip
    told = AccountingStrategyChanged.model_validate(facts | more)
    await identity.publish(told)
    kept = select(AccountingStrategy.strategy_id).where(
        AccountingStrategy.strategy_id == told.strategy_id,
        AccountingStrategy.version == told.version,
    )

    async def known() -> UUID | None:
        async with identity.app.state.connections.begin(PLATFORM) as db:
            found: UUID | None = await db.scalar(kept)
            return found

    return str(await eventually(known))


async def nothing_queued(identity: Running) -> None:
    """Wait until no note and no event of identity's waits to be sent."""
    queued = text("select (select count(*) from change_note) + (select count(*) from outbox)")

    async def idle() -> bool:
        async with identity.app.state.connections.begin(PLATFORM) as db:
            return int(await db.scalar(queued) or 0) == 0

    await eventually(idle)
