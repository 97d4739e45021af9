"""Every service starts on its own database and says so."""

import asyncio
import socket
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from stack import Issuer, Servers, eventually, one_service

from common import migrate
from common.run import SERVICES, bind
from local_stack.servers import free_port


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_starts_alone_and_its_tables_match_its_migrations(
    servers: Servers, issuer: Issuer, name: str
) -> None:
    own: dict[str, Any] = {"ocpp_port": free_port()} if name == "csms-gateway" else {}
    async with one_service(servers, issuer, name, **own) as service:
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


async def test_answers_do_not_wait_for_acknowledgements_of_what_was_sent_before() -> None:
    """Without TCP_NODELAY an answer in two writes takes 40 ms on a connection used again."""
    set_there: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        set_there.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    server = await asyncio.start_server(serve, sock=bind("127.0.0.1", 0, "TEST"))
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await set_there == 1
        writer.close()
        await writer.wait_closed()
