"""API keys: shown once, never more than their maker may, gone when they are revoked."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from stack import Running

from common.clock import now
from common.database import PLATFORM
from identity.tables import Partner

from .support import made, new_operator, problem
from .test_sessions import claims

SCOPES = ("api-keys:read", "api-keys:write", "users:read", "cards:read")


async def tried(identity: Running, key: str) -> httpx.Response:
    return await identity.http.post("/v1/token/api-key", json={"api_key": key})


async def partner_of(identity: Running, operator: UUID, *, active: bool = True) -> UUID:
    async with identity.app.state.connections.begin(PLATFORM) as db:
        row = Partner(operator_id=operator, name=uuid4().hex, active=active)
        db.add(row)
        await db.flush()
        return row.id


async def test_a_key_becomes_a_token_with_its_scopes_and_no_more(
    identity: Running, operator: UUID
) -> None:
    locations = [str(uuid4())]
    async with identity.as_(operator, *SCOPES) as admin:
        key = await made(
            admin, "/v1/api-keys", name="BI", scopes=["users:read"], location_ids=locations
        )
        assert key["key"].startswith(key["hint"])
        read = (await admin.get(f"/v1/api-keys/{key['id']}")).json()
        assert "key" not in read
        assert read["last_used_at"] is None
        answer = await tried(identity, key["key"])
        assert answer.headers["cache-control"] == "no-store"
        token = answer.json()
        assert (token["role"], token["refresh_token"]) == ("api-key", None)
        told = await claims(identity, token["access_token"])
        assert (told["scope"], told["locations"]) == ("users:read", locations)
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        assert (await identity.http.get("/v1/users", headers=bearer)).status_code == 200
        problem(await identity.http.get("/v1/cards", headers=bearer), 403, "missing-scope")
        problem(await identity.http.get("/v1/account", headers=bearer), 403, "missing-scope")
        used = (await admin.get(f"/v1/api-keys/{key['id']}")).json()
        assert used["last_used_ip"] == "127.0.0.1"


async def test_a_revoked_expired_or_unknown_key_is_refused(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as admin:
        key = await made(admin, "/v1/api-keys", name="A", scopes=["users:read"])
        assert (await tried(identity, key["key"])).status_code == 200
        path = f"/v1/api-keys/{key['id']}"
        past = {"expires_at": (now() - timedelta(seconds=1)).isoformat()}
        match = {"If-Match": '"1"'}
        assert (await admin.patch(path, json=past, headers=match)).status_code == 200
        problem(await tried(identity, key["key"]), 401, "key-refused")
        await admin.patch(path, json={"expires_at": None}, headers={"If-Match": '"2"'})
        assert (await tried(identity, key["key"])).status_code == 200
        assert (await admin.delete(path)).status_code == 204
        problem(await tried(identity, key["key"]), 401, "key-refused")
        problem(await tried(identity, "olk_" + "x" * 43), 401, "key-refused")
    async with identity.as_(await new_operator(identity), *SCOPES) as stranger:
        assert (await stranger.delete(path)).status_code == 404


async def test_a_partners_key_is_its_own_and_ends_with_the_partner(
    identity: Running, operator: UUID
) -> None:
    partner = await partner_of(identity, operator)
    scopes = ["partner-cards:write", "partner-sessions:read"]
    async with identity.as_(operator, *SCOPES) as admin:
        body: dict[str, Any] = {"name": "P", "scopes": scopes, "partner_id": str(partner)}
        key = await made(admin, "/v1/api-keys", **body)
        refused = await admin.post("/v1/api-keys", json=body | {"scopes": ["users:read"]})
        problem(refused, 403, "scope-not-yours")
        foreign = body | {
            "partner_id": str(await partner_of(identity, await new_operator(identity)))
        }
        problem(await admin.post("/v1/api-keys", json=foreign), 422, "unknown-partner")
    token = (await tried(identity, key["key"])).json()
    told = await claims(identity, token["access_token"])
    assert (told["role"], told["partner_id"]) == ("partner", str(partner))
    async with identity.app.state.connections.begin(PLATFORM) as db:
        row = await db.get(Partner, partner)
        assert row
        row.active = False
    problem(await tried(identity, key["key"]), 401, "key-refused")


@pytest.mark.parametrize(
    "scope", ["logins:write", "api-keys:write", "operators:read", "account:read", "no:such"]
)
async def test_a_key_never_does_more_than_its_maker_may(
    identity: Running, operator: UUID, scope: str
) -> None:
    more = ("account:read", "logins:write", "operators:read")
    async with identity.as_(operator, *SCOPES, *more) as admin:
        body = {"name": "A", "scopes": ["users:read", scope]}
        problem(await admin.post("/v1/api-keys", json=body), 403, "scope-not-yours")
    mine = str(uuid4())
    async with identity.as_(operator, *SCOPES, locations=[mine]) as limited:
        wide = {"name": "A", "scopes": ["users:read"]}
        problem(await limited.post("/v1/api-keys", json=wide), 403, "locations-not-yours")
        own = wide | {"location_ids": [mine]}
        assert (await limited.post("/v1/api-keys", json=own)).status_code == 201
