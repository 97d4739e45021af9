"""The OCPP port: who may connect, and by which version.

Its own server beside the REST one: half the memory a socket, and the client's certificate is in
reach. One port serves every version by its WebSocket subprotocol.
"""

import asyncio
import base64
import binascii
import http
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

import orjson
from prometheus_client import Counter, Gauge

from common import credentials
from common.clock import now
from common.run import bind
from csms_gateway import connections
from csms_gateway.charger import Admitted, Charger, Version
from csms_gateway.commands import records
from csms_gateway.door import Admission, Door, Refusal, Request
from csms_gateway.gateway import Gateway
from csms_gateway.sockets import Socket
from csms_gateway.versions import VERSIONS

log = logging.getLogger(__name__)

PREFIX: Final = "/ocpp/"
STATION_ID_MAX: Final = 48  # OCPP 2.0.1, identityString; longer ones are in no registry
OPEN_S: Final = 10.0  # for the request and its answer
BACKLOG: Final = 4096  # a whole car park that comes back at once
PROTOCOL_ERROR: Final = 1002
GOING_AWAY: Final = 1001

REFUSED = Counter("csms_gateway_refused_total", "Connections refused", ["why"])
SOCKETS = Gauge("csms_gateway_sockets", "Chargers connected to this replica")

STATION = """
select operator_id, active, evses, password_hash, version, credential_version, boot_answer
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
    open_door = partial(
        Door, partial(_admit, gateway, held), gateway.tasks.spawn, OPEN_S,
        settings.ocpp_message_bytes_max,
    )  # fmt: skip
    port = bind(settings.ocpp_host, settings.ocpp_port, "OCPP")
    server = await asyncio.get_running_loop().create_server(open_door, sock=port, backlog=BACKLOG)
    gateway.tasks.forever(partial(_keep_alive, held, settings.ocpp_ping_s), "pings")
    try:
        yield held
    finally:
        server.close()
        for charger in held.all():
            charger.socket.close_soon(GOING_AWAY, "the gateway stops; connect again")
        await held.drained()


async def _keep_alive(held: connections.Held, ping_s: float) -> None:
    """One loop for all sockets: a task each would be memory. Silent for two pings: gone."""
    while True:
        await asyncio.sleep(min(1.0, ping_s / 4))
        silent_since = time.monotonic() - ping_s
        for charger in held.all():
            socket = charger.socket
            if socket.heard_at > silent_since:
                socket.pinged = False
            elif socket.heard_at < silent_since - ping_s:
                socket.abort()
            elif not socket.pinged:
                socket.pinged = True
                socket.ping()


async def _admit(gateway: Gateway, held: connections.Held, request: Request) -> Admission | Refusal:
    try:
        station = await _station(gateway, request)
    except Refused as refused:
        REFUSED.labels(refused.status.phrase).inc()
        log.info("refused %s: %s", request.target[:80], refused)
        asked = {"WWW-Authenticate": 'Basic realm="ocpp"'}
        unauthorized = refused.status is http.HTTPStatus.UNAUTHORIZED
        return Refusal(refused.status, str(refused), asked if unauthorized else {})
    except Exception:
        log.exception("a charger could not be looked up")
        return Refusal(http.HTTPStatus.SERVICE_UNAVAILABLE, "try again")
    # The charger's order is its preference. None: OCPP-J 1.6, 3.1.2 - shake hands without a
    # subprotocol, then close.
    offered = request.headers.get("sec-websocket-protocol", "").split(",")
    version = next((VERSIONS[n] for n in map(str.strip, offered) if n in VERSIONS), None)
    serve = partial(_serve, gateway, held, station, version)
    return Admission(version.name if version else None, serve)


async def _station(gateway: Gateway, request: Request) -> Admitted:
    path = request.target.partition("?")[0]
    station_id = unquote(path.removeprefix(PREFIX))
    if not path.startswith(PREFIX) or not 0 < len(station_id) <= STATION_ID_MAX:
        raise Refused(http.HTTPStatus.NOT_FOUND, f"connect to {PREFIX}<station id>")
    if not station_id.isprintable():
        raise Refused(http.HTTPStatus.NOT_FOUND, "that is no station id")
    row = await gateway.pool.fetchrow(STATION, station_id)
    if row is None or not row["active"]:
        raise Refused(http.HTTPStatus.NOT_FOUND, f"no station {station_id!r} here")
    user, password = _basic(request.headers.get("authorization", ""))
    hashed = row["password_hash"]
    if user != station_id or not hashed or not credentials.matches(password, hashed):
        raise Refused(http.HTTPStatus.UNAUTHORIZED, "wrong station id or password")
    evses: list[dict[str, Any]] = orjson.loads(row["evses"])
    power = {evse["evse_id"]: evse["max_power_w"] for evse in evses if evse.get("max_power_w")}
    # asyncpg has a UUID of its own, which JSON does not know.
    versions = (row["version"], row["credential_version"])
    operator_id = UUID(str(row["operator_id"]))
    return Admitted(station_id, operator_id, power, versions, row["boot_answer"])


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


async def _serve(
    gateway: Gateway,
    held: connections.Held,
    station: Admitted,
    version: Version | None,
    socket: Socket,
) -> None:
    if version is None:
        await socket.close(PROTOCOL_ERROR, f"speak one of {', '.join(VERSIONS)}")
        return
    connected_at = now()
    generation = await held.open_generation(
        station.station_id, station.operator_id, version.name, connected_at
    )
    charger = Charger(gateway, socket, version, station, generation, connected_at)
    await held.serve(charger)
