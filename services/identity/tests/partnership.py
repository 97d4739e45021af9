"""Partners of the tests, and the clients they call with."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from stack import Running

from .support import made

STAFF = ("partners:read", "partners:write", "cards:read", "cards:write", "tariffs:read")
PARTNER = ("partner-cards:read", "partner-cards:write")
NDJSON = {"Content-Type": "application/x-ndjson"}


async def new_partner(identity: Running, operator: UUID, name: str = "Cambio") -> UUID:
    async with identity.as_(operator, *STAFF) as staff:
        return UUID((await made(staff, "/v1/partners", name=name))["id"])


def as_partner(identity: Running, operator: UUID, partner: UUID) -> httpx.AsyncClient:
    return identity.as_(operator, *PARTNER, role="partner", partner_id=str(partner))


@asynccontextmanager
async def partnership(
    identity: Running, operator: UUID, name: str = "Cambio"
) -> AsyncIterator[httpx.AsyncClient]:
    partner = await new_partner(identity, operator, name)
    async with as_partner(identity, operator, partner) as client:
        yield client


def lines(*cards: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(card).encode() + b"\n" for card in cards)


def uids(*names: str) -> bytes:
    return lines(*({"uid": name} for name in names))


async def begun(client: httpx.AsyncClient, key: str, mode: str = "full", **more: Any) -> str:
    answer = await client.post(
        "/v1/partner/lists", json={"mode": mode, **more}, headers={"Idempotency-Key": key}
    )
    assert answer.status_code == 201, answer.text
    return f"/v1/partner/lists/{answer.json()['id']}"


async def sent(client: httpx.AsyncClient, path: str, number: int, body: bytes) -> httpx.Response:
    return await client.put(f"{path}/parts/{number}", content=body, headers=NDJSON)


async def applied(client: httpx.AsyncClient, path: str, parts: int, **more: Any) -> Any:
    answer = await client.post(f"{path}/apply", json={"parts": parts, **more})
    assert answer.status_code == 200, answer.text
    return tuple(answer.json()[name] for name in ("made", "changed", "blocked", "unchanged"))


async def pushed(
    client: httpx.AsyncClient, key: str, body: bytes, mode: str = "full", **more: Any
) -> Any:
    """One list of one part."""
    path = await begun(client, key, mode)
    answer = await sent(client, path, 1, body)
    assert answer.status_code == 201, answer.text
    return await applied(client, path, 1, **more)
