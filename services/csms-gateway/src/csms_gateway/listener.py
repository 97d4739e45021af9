"""The OCPP port: who may connect, and by which version.

Its own server beside the REST one: half the memory a socket, and the client's certificate is in
reach. One port serves every version by its WebSocket subprotocol.
"""

import base64
import binascii
import http
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

import orjson
from prometheus_client import Counter, Gauge
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from common import credentials
from common.clock import now
from common.run import bind
from csms_gateway import connections
from csms_gateway.charger import Admitted, Charger
from csms_gateway.commands import records
from csms_gateway.gateway import Gateway
from csms_gateway.versions import VERSIONS

log = logging.getLogger(__name__)

PREFIX: Final = "/ocpp/"
STATION_ID_MAX: Final = 48  # OCPP 2.0.1, identityString; longer ones are in no registry
QUEUE_MAX: Final = 8  # messages read ahead of the one being answered; then TCP holds the charger
PROTOCOL_ERROR: Final = 1002
# When thousands come back at once, each waits its turn for the database; ten seconds are too few
# then, and turning them away only brings them again.
OPEN_S: Final = 30.0
BACKLOG: Final = 4096  # connections the kernel holds for us meanwhile
CLOSE_S: Final = 5.0  # for a charger to answer that its socket closes; then it is cut off

REFUSED = Counter("csms_gateway_refused_total", "Connections refused", ["why"])
SOCKETS = Gauge("csms_gateway_sockets", "Chargers connected to this replica")

STATION = """
select operator_id, active, evses, password_hash, version, credential_version
from station where station_id = $1
"""


class Refused(Exception):
    """A connection that may not be; status is the HTTP status of the refusal."""

    def __init__(self, status: http.HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


@asynccontextmanager
async def listening(gateway: Gateway) -> AsyncIterator[connections.Held]:
    """Serve chargers until left; then tell them to come back elsewhere. Raises PortTaken."""
    settings = gateway.settings
    held = connections.Held(gateway, partial(records.deliver_soon, gateway))
    await held.listen()
    SOCKETS.set_function(lambda: len(held))
    server = await serve(
        partial(_serve, gateway, held),
        sock=bind(settings.ocpp_host, settings.ocpp_port, "OCPP"),
        process_request=partial(_admit, gateway),
        select_subprotocol=_choose,
        compression=None,  # permessage-deflate costs 50 KiB a socket
        max_size=settings.ocpp_message_bytes_max,
        max_queue=QUEUE_MAX,
        ping_interval=settings.ocpp_ping_s,
        ping_timeout=settings.ocpp_ping_s,
        server_header=None,
        open_timeout=OPEN_S,
        close_timeout=CLOSE_S,
        backlog=BACKLOG,
    )
    held.stop_accepting = partial(server.close, close_connections=False)
    try:
        yield held
    finally:
        await held.drain()
        await server.wait_closed()
        await held.drained()


def _choose(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    # The charger's order is its preference. None: OCPP-J 1.6, 3.1.2 - shake hands without a
    # subprotocol, then close.
    return next((name for name in offered if name in VERSIONS), None)


async def _admit(gateway: Gateway, socket: ServerConnection, request: Request) -> Response | None:
    try:
        station = await _station(gateway, request)
    except Refused as refused:
        REFUSED.labels(refused.status.phrase).inc()
        log.info("refused %s: %s", request.path[:80], refused)
        response = socket.respond(refused.status, f"{refused}\n")
        if refused.status is http.HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
        return response
    except Exception:
        log.exception("a charger could not be looked up")
        return socket.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "try again\n")
    socket.station = station  # type: ignore[attr-defined]
    return None


async def _station(gateway: Gateway, request: Request) -> Admitted:
    path = request.path.partition("?")[0]
    station_id = unquote(path.removeprefix(PREFIX))
    if not path.startswith(PREFIX) or not 0 < len(station_id) <= STATION_ID_MAX:
        raise Refused(http.HTTPStatus.NOT_FOUND, f"connect to {PREFIX}<station id>")
    if not station_id.isprintable():
        raise Refused(http.HTTPStatus.NOT_FOUND, "that is no station id")
    row = await gateway.pool.fetchrow(STATION, station_id)
    if row is None or not row["active"]:
        raise Refused(http.HTTPStatus.NOT_FOUND, f"no station {station_id!r} here")
    user, password = _basic(request.headers.get("Authorization", ""))
    hashed = row["password_hash"]
    if user != station_id or not hashed or not credentials.matches(password, hashed):
        raise Refused(http.HTTPStatus.UNAUTHORIZED, "wrong station id or password")
    evses: list[dict[str, Any]] = orjson.loads(row["evses"])
    power = {evse["evse_id"]: evse["max_power_w"] for evse in evses if evse.get("max_power_w")}
    # asyncpg has a UUID of its own, which JSON does not know.
    versions = (row["version"], row["credential_version"])
    return Admitted(station_id, UUID(str(row["operator_id"])), power, versions)


def _basic(header: str) -> tuple[str, str]:
    """User and password of HTTP basic authentication; empty if there is none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


async def _serve(gateway: Gateway, held: connections.Held, socket: ServerConnection) -> None:
    if socket.subprotocol is None:
        REFUSED.labels("subprotocol").inc()
        await socket.close(PROTOCOL_ERROR, f"speak one of {', '.join(VERSIONS)}")
        return
    station: Admitted = socket.station  # type: ignore[attr-defined]
    connected_at = now()
    generation = await held.open_generation(
        station.station_id, station.operator_id, socket.subprotocol, connected_at
    )
    version = VERSIONS[socket.subprotocol]
    charger = Charger(gateway, socket, version, station, generation, connected_at)
    await held.serve(charger)
