"""The OCPP port: chargers' sockets of every version, by WebSocket subprotocol.

Its own server beside the REST one: half the memory a socket, and the client's certificate is in
reach. Who may connect is admission's business; who is unknown, pending_sockets'.
"""

import http
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

from prometheus_client import Counter, Gauge
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from common.clock import now
from common.run import bind
from csms_gateway import connections, peers
from csms_gateway.admission import Admission, Refused, Unknown
from csms_gateway.charger import Admitted, Charger
from csms_gateway.commands import records
from csms_gateway.gateway import Gateway
from csms_gateway.pending_sockets import PendingSockets, Stranger
from csms_gateway.settings import networks
from csms_gateway.tls import Tls
from csms_gateway.versions import VERSIONS

log = logging.getLogger(__name__)

QUEUE_MAX: Final = 8  # messages read ahead of the one being answered; then TCP holds the charger
PROTOCOL_ERROR: Final = 1002
REFUSED = Counter("csms_gateway_refused_total", "Connections refused", ["why"])
SOCKETS = Gauge("csms_gateway_sockets", "Chargers connected to this replica")


class _Door:
    """What each new connection passes."""

    def __init__(self, gateway: Gateway, held: connections.Held) -> None:
        self.gateway = gateway
        self.held = held
        self.admission = Admission(gateway)
        self.strangers = PendingSockets(gateway)
        self._trusted = networks(gateway.settings.trusted_proxies)

    async def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        try:
            station = await self._station(socket, request)
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

    async def _station(self, socket: ServerConnection, request: Request) -> Admitted | Stranger:
        """Raises Refused."""
        try:
            peer = peers.of(socket, request.headers, self._trusted)
        except peers.BadHeader as bad:
            raise Refused(http.HTTPStatus.BAD_REQUEST, str(bad)) from None
        try:
            return await self.admission.admit(peer, request.path, request.headers)
        except Unknown as unknown:
            if await self.strangers.let_in(unknown.station_id, peer):
                return await self.admission.admit(peer, request.path, request.headers)
            return await self.strangers.hear(unknown.station_id, peer)

    async def serve(self, socket: ServerConnection) -> None:
        if socket.subprotocol is None:
            await socket.close(PROTOCOL_ERROR, f"speak one of {', '.join(VERSIONS)}")
            return
        version = VERSIONS[socket.subprotocol]
        station: Admitted | Stranger = socket.station  # type: ignore[attr-defined]
        if isinstance(station, Stranger):
            await self.strangers.hold(socket, version, station)
            return
        connected_at = now()
        generation = await self.held.open_generation(station, socket.subprotocol, connected_at)
        charger = Charger(self.gateway, socket, version, station, generation, connected_at)
        await self.held.serve(charger)


@asynccontextmanager
async def listening(gateway: Gateway) -> AsyncIterator[connections.Held]:
    """Serve chargers until left; then tell them to come back elsewhere.

    Raises PortTaken or tls.NotUsable.
    """
    settings = gateway.settings
    held = connections.Held(gateway, partial(records.deliver_soon, gateway))
    door = _Door(gateway, held)
    await held.listen()
    SOCKETS.set_function(lambda: len(held))
    gateway.tasks.forever(door.strangers.watch, "unknown stations")
    async with AsyncExitStack() as servers:
        plain = bind(settings.ocpp_host, settings.ocpp_port, "OCPP")
        await servers.enter_async_context(_open(door, sock=plain))
        if settings.ocpp_tls_port is not None:
            tls = Tls(gateway)
            await tls.refresh()
            gateway.tasks.forever(tls.keep_fresh, "TLS files and authorities")
            secured = bind(settings.ocpp_host, settings.ocpp_tls_port, "OCPP_TLS")
            await servers.enter_async_context(_open(door, sock=secured, ssl=tls.context))
        yield held
    await held.drained()


@asynccontextmanager
async def _open(door: _Door, **where: Any) -> AsyncIterator[Server]:
    settings = door.gateway.settings
    server = await serve(
        door.serve,
        process_request=door.admit,
        select_subprotocol=_choose,
        compression=None,  # permessage-deflate costs 50 KiB a socket
        max_size=settings.ocpp_message_bytes_max,
        max_queue=QUEUE_MAX,
        ping_interval=settings.ocpp_ping_s,
        ping_timeout=settings.ocpp_ping_s,
        server_header=None,
        **where,
    )
    try:
        yield server
    finally:
        server.close(close_connections=True)
        await server.wait_closed()


def _choose(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    # The charger's order is its preference. None: OCPP-J 1.6, 3.1.2 - shake hands without a
    # subprotocol, then close.
    return next((name for name in offered if name in VERSIONS), None)
