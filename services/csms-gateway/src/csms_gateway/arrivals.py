"""Connections from the moment they are accepted until they have said who they want to be.

A connection that says nothing costs memory (TLS most of all) and nothing holds whoever opens
thousands back, so there are few at once. One that comes is never turned away for that: the oldest
silent one goes, of the address that has most of them, since a charger speaks as soon as it can.
asyncio's own servers keep what is in a TLS handshake out of reach, so accepting is done here.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from functools import partial
from socket import socket
from typing import Final

from prometheus_client import Gauge

from csms_gateway.door import CUT_OFF, Door, Spawn

log = logging.getLogger(__name__)

# A modem on a bad network needs some seconds for the four flights and a client's certificate.
HANDSHAKE_S: Final = 20.0
# Between two turns what was accepted is read, so that a herd that comes back at once is not silent:
# so many at most, and only a part of the places, for it takes some turns.
TURN: Final = 64
TURNS: Final = 8
RETRY_S: Final = 1.0  # there are no file descriptors left, or no memory

SILENT = Gauge("csms_gateway_silent_connections", "Accepted, and no request has been read")


class Arrivals:
    def __init__(
        self, places: int, spawn: Spawn, door: Callable[[Callable[[Door], None]], Door]
    ) -> None:
        """door: makes one, which calls what it is given once it is silent no more."""
        self._places = places
        self._spawn = spawn
        self._door = door
        # By address, the oldest first; the task is its TLS handshake.
        self._silent: dict[str, dict[Door, asyncio.Task[None]]] = {}
        self._count = 0
        SILENT.set_function(lambda: self._count)

    async def accept(self, listener: socket, context: ssl.SSLContext | None) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(min(TURN, self._places // TURNS)):
                try:
                    connection, (address, *_) = await loop.sock_accept(listener)
                except OSError as error:
                    log.warning("no connection can be accepted: %s", error)
                    await asyncio.sleep(RETRY_S)
                    continue
                self._open(connection, address, context)
            await asyncio.sleep(0)

    def _open(self, connection: socket, address: str, context: ssl.SSLContext | None) -> None:
        if self._count >= self._places:
            self._make_room()
        door = self._door(partial(self._leave, address))
        opening = self._spawn(_opened(door, connection, context), f"a connection of {address}")
        self._silent.setdefault(address, {})[door] = opening
        self._count += 1

        def ended(_: asyncio.Task[None]) -> None:
            if not door.reached:
                connection.close()
                self._leave(address, door)

        opening.add_done_callback(ended)

    def _make_room(self) -> None:
        address, doors = max(self._silent.items(), key=lambda item: len(item[1]))
        door, opening = next(iter(doors.items()))
        self._leave(address, door)
        if opening.done():
            door.cut_off("room")
        else:
            CUT_OFF.labels("room").inc()
            opening.cancel()

    def _leave(self, address: str, door: Door) -> None:
        doors = self._silent.get(address)
        if doors is None or doors.pop(door, None) is None:
            return
        self._count -= 1
        if not doors:
            del self._silent[address]


async def _opened(door: Door, connection: socket, context: ssl.SSLContext | None) -> None:
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: door,
            connection,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_S if context else None,
        )
    except OSError as error:  # TLS's too, and its timeout's
        CUT_OFF.labels("handshake").inc()
        log.debug("no TLS with %s: %s", connection, error)
