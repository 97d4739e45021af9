"""One running registry for all of this service's tests."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from stack import Issuer, Running, Servers, one_service, published

from common.database import PLATFORM
from common.events import Event
from common.ids import uuid7
from common.inbox import failed_event

SCOPES = (
    "locations:read", "locations:write", "stations:read", "stations:write", "status:read",
    "station-groups:read", "station-groups:write", "settings:read", "settings:write",
)  # fmt: skip


@pytest.fixture(scope="session")
async def registry(servers: Servers, issuer: Issuer) -> AsyncIterator[Running]:
    public = "wss://csms.example/ocpp/"
    secret_key = "a secret key of the tests of registry"
    # Tests look again and again; what is too much has a test of its own.
    unlimited = {"map_requests_per_minute": 0, "route_requests_per_minute": 0}
    given = {"ocpp_public_url": public, "secret_key": secret_key, **unlimited}
    async with one_service(servers, issuer, "registry", **given) as service:
        yield service
        async with service.app.state.connections.begin(PLATFORM) as db:
            failed = (await db.scalars(select(failed_event.c.error))).all()
        assert not failed, "an event's handler failed"


class Operator:
    """An operator's own client, and what registry told the others about its things."""

    def __init__(self, registry: Running) -> None:
        self.id: UUID = uuid7()
        self.registry = registry
        self.http: httpx.AsyncClient = registry.as_(self.id, *SCOPES)

    async def station(self, **more: Any) -> str:
        body = {"id": f"S-{uuid7().hex[-12:]}", "name": "Level 2", **more}
        made = await self.http.post("/v1/stations", json=body)
        assert made.status_code == 201, made.text
        station_id: str = made.json()["id"]
        return station_id

    async def status(self, station_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/v1/stations/{station_id}/status")
        assert answer.status_code == 200, answer.text
        status: dict[str, Any] = answer.json()
        return status

    async def told(self, kind: type[Event]) -> list[dict[str, Any]]:
        """What was published of this operator, oldest first."""
        bodies = map(json.loads, await published(self.registry.nats_url, kind.subject))
        return [body for body in bodies if body["operator_id"] == str(self.id)]


@pytest.fixture
async def operator(registry: Running) -> AsyncIterator[Operator]:
    operator = Operator(registry)
    yield operator
    await operator.http.aclose()


@pytest.fixture
async def stranger(registry: Running) -> AsyncIterator[Operator]:
    operator = Operator(registry)
    yield operator
    await operator.http.aclose()
