"""NUL, which PostgreSQL's text cannot hold, in addresses and bodies: a refusal, never a crash."""

from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from stack import Issuer, Servers, one_service

from common.run import SERVICES
from local_stack.servers import free_port

NUL = "a\0"


def text(parameter: dict[str, Any]) -> bool:
    schema = parameter["schema"]
    kinds = [schema, *schema.get("anyOf", ())]
    return any(one.get("type") == "string" and "format" not in one for one in kinds)


def questions(openapi: dict[str, Any]) -> list[str]:
    """Every address that is read, once with NUL in each of its texts; the others are harmless."""
    found = []
    for path, operations in openapi["paths"].items():
        parameters = operations.get("get", {}).get("parameters", [])
        for asked in (one for one in parameters if one["in"] in ("path", "query") and text(one)):
            url, query = path, {}
            for one in parameters:
                value = NUL if one is asked else "1"
                if one["in"] == "path":
                    uuid = one["schema"].get("format") == "uuid"
                    value = urlencode({"": str(uuid4()) if uuid else value})[1:]
                    url = url.replace(f"{{{one['name']}}}", value)
                elif one is asked:
                    query = {one["name"]: value}
            found.append(f"{url}?{urlencode(query)}")
    return found


@pytest.mark.parametrize("name", SERVICES)
async def test_no_route_falls_over_NUL_in_its_address(
    servers: Servers, issuer: Issuer, name: str
) -> None:
    settings = {"ocpp_port": free_port()} if name == "csms-gateway" else {}
    async with one_service(servers, issuer, name, **settings) as service:
        openapi = service.app.openapi()
        asked = questions(openapi)
        assert any("%00" in url for url in asked)
        scopes = {
            scope
            for operations in openapi["paths"].values()
            for operation in operations.values()
            for one in operation.get("security", ())
            for names in one.values()
            for scope in names
        }
        async with service.as_(uuid4(), *scopes) as api:
            for url in asked:
                answer = await api.get(url)
                assert 400 <= answer.status_code < 500, (url, answer.status_code, answer.text)
                assert answer.headers["content-type"] == "application/problem+json", url
                assert answer.json()["type"].endswith(":invalid-request"), (url, answer.text)
                pointers = [one["pointer"] for one in answer.json()["errors"]]
                assert len(pointers) == 1, (url, pointers)
                assert pointers[0].startswith(("/path/", "/query/")), (url, pointers)
