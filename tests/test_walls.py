"""R9: tenants are walls. Every route as nobody, without a scope, and as another operator."""

import asyncio
import json
from typing import Any

import asyncpg
import httpx
import pytest
from public_routes import PUBLIC
from suite import ADMIN, PASSWORD, Suite

from common.run import SERVICES
from local_stack import demo_data, docs

# Tables without a wall, and why nobody but the platform reads them.
WITHOUT_A_WALL = {
    "alembic_version": "which migrations ran",
    "outbox": "events on their way, read by the relay",
    "inbox": "ids of handled events",
    "failed_event": "dead letters, read by the platform's commands",
    "gateway_replica": "replicas serve every operator",
}


def routes(service: str) -> list[tuple[str, str, dict[str, Any]]]:
    paths = json.loads(docs.openapi(service))["paths"]
    return [
        (method, path, operation)
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]


def concrete(path: str, operation: dict[str, Any]) -> str:
    """The path with something in each of its parameters."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            schema = parameter["schema"]
            uuid = "01a20000-0000-7000-8000-000000000000"
            kinds = {"integer": "1", "string": uuid if schema.get("format") == "uuid" else "X"}
            path = path.replace(f"{{{parameter['name']}}}", kinds[schema["type"]])
    return path


@pytest.mark.parametrize("service", SERVICES)
async def test_every_route_is_closed_to_strangers_and_to_tokens_without_its_scope(
    suite: Suite, service: str
) -> None:
    found = routes(service)
    assert found
    rival = await other_operator(suite)
    async with httpx.AsyncClient(base_url=suite.urls[service], timeout=20) as api:
        for method, path, operation in found:
            if (method, path) in PUBLIC:
                continue
            url = concrete(path, operation)
            stranger = await api.request(method, url)
            assert stranger.status_code == 401, (method, path)
            forged = {"Authorization": "Bearer " + rival["token"][:-8] + "AAAAAAAA"}
            assert (await api.request(method, url, headers=forged)).status_code == 401, path
            scopes = {s for one in operation["security"] for names in one.values() for s in names}
            assert scopes, f"{method} {path} asks for no scope"
            clerk = {"Authorization": "Bearer " + rival["read_only"]}
            if not any(s.endswith(":read") or s == "account:write" for s in scopes):
                refused = await api.request(method, url, headers=clerk)
                assert refused.status_code == 403, (method, path, refused.text)


async def other_operator(suite: Suite) -> dict[str, str]:
    """A second operator with an admin and a read-only login; made once a suite."""
    if "rival" in suite.demo:
        known: dict[str, str] = suite.demo["rival"]
        return known
    identity = suite.urls["identity"]
    admin = await asyncio.to_thread(demo_data.token, identity, ADMIN, PASSWORD)
    async with httpx.AsyncClient(base_url=f"{identity}/v1", timeout=20) as api:
        api.headers["Authorization"] = f"Bearer {admin}"
        made = (await api.post("/operators", json={"name": "Rival"})).json()
        api.headers["Operator-Id"] = made["id"]
        tokens = {}
        for name, role in (("token", "operator-admin"), ("read_only", "read-only")):
            login = {"email": f"{name}@rival.localhost", "password": "another-long-password"}
            answer = await api.post("/logins", json=login | {"role": role})
            assert answer.status_code == 201, answer.text
            tokens[name] = await asyncio.to_thread(
                demo_data.token, identity, login["email"], login["password"]
            )
    rival = {"id": made["id"], **tokens}
    suite.demo["rival"] = rival
    return rival


async def test_another_operator_sees_and_changes_nothing(suite: Suite) -> None:
    rival = await other_operator(suite)
    mine = {"Authorization": f"Bearer {await suite.token()}"}
    other = {"Authorization": f"Bearer {rival['token']}"}
    seen = 0
    async with httpx.AsyncClient(timeout=20) as api:
        for service in SERVICES:
            for method, path, _ in routes(service):
                if method != "get" or (method, path) in PUBLIC or "{" in path:
                    continue
                if "operators" in path or path == "/v1/signing-keys":
                    continue  # a platform admin's alone, by scope
                if f"{path}/".startswith(("/v1/partner/", "/v1/me/")):
                    continue  # with a partner's key or a driver's token; each has its own test
                if path.endswith(("/stream", "/export")):
                    continue  # never ends, or is a file; each has a test of its own
                if path.endswith(("/logo", "/oidc-provider")):
                    continue  # there is none; each has a test of its own
                params = {"by": "month"} if path.endswith("breakdowns") else {}
                url = suite.urls[service] + path
                ours = await api.get(url, headers=mine, params=params)
                theirs = await api.get(url, headers=other, params=params)
                assert ours.status_code == theirs.status_code == 200, (path, theirs.text)
                if "items" not in ours.json():
                    continue  # one's own account
                ids = {str(i.get("id", i.get("station_id"))) for i in ours.json()["items"]}
                foreign = {str(i.get("id", i.get("station_id"))) for i in theirs.json()["items"]}
                assert not ids & foreign, path
                seen += len(ids)
                for one in list(ids)[:2]:
                    single = await api.get(f"{url}/{one}", headers=other)
                    assert single.status_code in (404, 405), (url, single.text)
    assert seen >= 8  # stations, cards, a user, a location, a tariff: there was something to hide


async def test_every_table_has_a_wall_or_a_reason(suite: Suite) -> None:
    connection = await asyncpg.connect(suite.postgres.url())
    rows = await connection.fetch(
        """
        select c.relname, n.nspname, c.relrowsecurity and c.relforcerowsecurity as closed,
            c.relispartition, pg_get_userbyid(c.relowner) = 'csms_' || n.nspname as own,
            exists (select from pg_policy p where p.polrelid = c.oid) as policy
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and n.nspname = any($1)
        """,
        [name.replace("-", "_") for name in SERVICES],
    )
    await connection.close()
    assert len(rows) > 30
    for row in rows:
        name = f"{row['nspname']}.{row['relname']}"
        assert not row["own"], f"{name} belongs to its service, whom walls would not bind"
        if row["relname"] in WITHOUT_A_WALL or row["relispartition"]:
            continue
        assert row["closed"] and row["policy"], f"{name} has no wall"


async def test_a_service_may_use_its_own_schema_only(suite: Suite) -> None:
    connection = await asyncpg.connect(suite.postgres.url())
    await connection.execute("set role csms_billing")
    for statement in ("select * from identity.card", "create table billing.mine (id int)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    assert await connection.fetchval("select count(*) from billing.record") == 0
    await connection.close()
