"""The OCPP ports: chargers' sockets of every version, by WebSocket subprotocol.

Their own servers beside the REST one: half the memory a socket, and the client's certificate is in
reach. Who may connect is admission's business; who is unknown, pending_sockets'.
"""

import asyncio
import http
import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from socket import socket
from typing import Final

from prometheus_client import Counter, Gauge

from common.clock import now
from common.run import bind
from common.settings import networks
from csms_gateway import connections, peers
from csms_gateway.admission import Admission, Refused, Unknown
from csms_gateway.admitted import Admitted
from csms_gateway.arrivals import Arrivals
from csms_gateway.charger import Charger, Version
from csms_gateway.commands import records
from csms_gateway.door import Come, Door, Refusal, Request
from csms_gateway.gateway import Gateway
from csms_gateway.pending_sockets import PendingSockets, Stranger
from csms_gateway.sockets import Socket
from csms_gateway.tls import Tls
from csms_gateway.versions import VERSIONS

log = logging.getLogger(__name__)

PROTOCOL_ERROR: Final = 1002
# When thousands come back at once, each waits its turn for the database; ten seconds are too few
# then, and turning them away only brings them again.
OPEN_S: Final = 30.0
BACKLOG: Final = 4096  # connections the kernel holds for us meanwhile
NO_PONG: Final = 1011
REFUSED = Counter("csms_gateway_refused_total", "Connections refused", ["why"])
SOCKETS = Gauge("csms_gateway_sockets", "Chargers connected to this replica")


class _Porter:
    """What each new connection passes."""

    def __init__(self, gateway: Gateway, held: connections.Held) -> None:
        self.gateway = gateway
        self.held = held
        self.admission = Admission(gateway)
        self.strangers = PendingSockets(gateway)
        self._trusted = networks(gateway.settings.trusted_proxies)
        self._met = peers.Intermediates()

    async def admit(self, request: Request) -> Come | Refusal:
        if self.gateway.draining:
            return Refusal(http.HTTPStatus.SERVICE_UNAVAILABLE, connections.STOPPING)
        try:
            station = await self._station(request)
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
        return Come(version.name if version else None, partial(self._serve, station, version))

    async def _station(self, request: Request) -> Admitted | Stranger:
        """Raises Refused."""
        try:
            peer = peers.of(request.transport, request.headers, self._trusted, self._met)
        except peers.BadHeader as bad:
            raise Refused(http.HTTPStatus.BAD_REQUEST, str(bad)) from None
        try:
            return await self.admission.admit(peer, request.target, request.headers)
        except Unknown as unknown:
            if await self.strangers.let_in(unknown.station_id, peer):
                return await self.admission.admit(peer, request.target, request.headers)
            return await self.strangers.hear(unknown.station_id, peer)

    async def _serve(
        self, station: Admitted | Stranger, version: Version | None, socket: Socket
    ) -> None:
        if version is None:
            REFUSED.labels("subprotocol").inc()
            await socket.close(PROTOCOL_ERROR, f"speak one of {', '.join(VERSIONS)}")
            return
        if isinstance(station, Stranger):
            await self.strangers.hold(socket, version, station)
            return
        connected_at = now()
        generation = await self.held.open_generation(station, version.name, connected_at)
        charger = Charger(self.gateway, socket, version, station, generation, connected_at)
        await self.held.serve(charger)


@asynccontextmanager
async def listening(gateway: Gateway) -> AsyncIterator[connections.Held]:
    """Serve chargers until left; then tell them to come back elsewhere.

    Raises PortTaken or tls.NotUsable.
    """
    settings = gateway.settings
    held = connections.Held(gateway, partial(records.deliver_soon, gateway))
    porter = _Porter(gateway, held)
    await held.listen()
    SOCKETS.set_function(lambda: len(held))
    gateway.tasks.forever(porter.strangers.watch, "unknown stations")
    gateway.tasks.forever(partial(_keep_alive, held, settings.ocpp_ping_s), "pings")
    gateway.tasks.forever(held.drop_slow, "slow readers")
    arrivals = Arrivals(
        settings.ocpp_silent_connections_max,
        gateway.tasks.spawn,
        partial(Door, porter.admit, gateway.tasks.spawn, OPEN_S, settings.ocpp_message_bytes_max),
    )
    async with AsyncExitStack() as servers:
        plain = bind(settings.ocpp_host, settings.ocpp_port, "OCPP")
        await servers.enter_async_context(_accepting(held, arrivals, plain))
        if settings.ocpp_tls_port is not None:
            tls = Tls(gateway)
            await tls.refresh()
            gateway.tasks.forever(tls.keep_fresh, "TLS files and authorities")
            secured = bind(settings.ocpp_host, settings.ocpp_tls_port, "OCPP_TLS")
            await servers.enter_async_context(_accepting(held, arrivals, secured, tls.context))
        try:
            yield held
        finally:
            await held.drain()
            await held.drained()


@asynccontextmanager
async def _accepting(
    held: connections.Held,
    arrivals: Arrivals,
    listener: socket,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[None]:
    listener.setblocking(False)
    listener.listen(BACKLOG)
    accept = partial(arrivals.accept, listener, context)
    accepting = held.gateway.tasks.forever(accept, "accepting")
    accepting.add_done_callback(lambda _: listener.close())

    def stop() -> None:
        accepting.cancel()

    held.on_drain.append(stop)
    try:
        yield
    finally:
        stop()
        await asyncio.wait([accepting])


async def _keep_alive(held: connections.Held, ping_s: float) -> None:
    """One loop for all sockets: a task each would be memory. Silent for two pings: gone."""
    while True:
        await asyncio.sleep(min(1.0, ping_s / 4))
        silent_since = time.monotonic() - ping_s
        for charger in held.all():
            socket = charger.socket
            if socket.paused or socket.heard_at > silent_since:
                socket.pinged = False
            elif socket.heard_at < silent_since - ping_s:
                socket.close_soon(NO_PONG, "no answer to pings")
            elif not socket.pinged:
                socket.pinged = True
                socket.ping()
