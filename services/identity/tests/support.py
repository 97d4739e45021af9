"""What the tests of identity share."""

from typing import Any
from uuid import UUID

import httpx
from stack import Running

BOSS = "boss@platform.example"
BOSS_PASSWORD = "correct horse battery"
ALL = ("users:read", "users:write", "cards:read", "cards:write", "authorizations:read")
PROBLEM = "urn:openlade:problem:"


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
