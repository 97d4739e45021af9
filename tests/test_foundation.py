"""Every service starts on its own database and says so."""

import asyncio

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from stack import Issuer, Servers, eventually, one_service

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
        figures = (await service.http.get("/metrics")).text
        assert f'csms_request_seconds_count{{service="{name}",status="404"}}' in figures
        given = await service.http.get("/livez", headers={"X-Request-Id": "from-outside"})
        assert given.headers["x-request-id"] == "from-outside"
        with pytest.raises(DBAPIError) as failed:
            async with service.app.state.connections.begin("*") as db:
                await db.execute(text("select 1 / 0, cast(:name as text)"), {"name": "Jane Roe"})
        assert "Jane Roe" not in str(failed.value)
        service.nats_server.kill()

        async def not_ready() -> bool:
            return (await service.http.get("/readyz")).status_code == 503

        await eventually(not_ready)
        assert (await service.http.get("/livez")).status_code == 200
