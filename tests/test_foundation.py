"""Every service starts on its own database and says so."""

import asyncio

import httpx
import pytest
from alembic import command
from stack import Issuer, Servers, one_service

from common import migrate
from common.run import SERVICES


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_starts_alone_and_its_tables_match_its_migrations(
    servers: Servers, issuer: Issuer, name: str
) -> None:
    async with one_service(servers, issuer, name) as service:
        assert (await service.http.get("/livez")).json() == {"status": "ok"}
        lost = await service.http.get("/nowhere")
        assert lost.headers["content-type"] == "application/problem+json"
        url = str(service.app.state.parts.settings.database_url)
        await asyncio.to_thread(command.check, migrate.config(name, url))
        assert isinstance(service.http, httpx.AsyncClient)
