"""People at the charger: cards held to the reader, cars plugged in, starts from afar."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fleet import configuration as keys
from fleet import v16
from fleet.configuration import Configuration
from fleet.link import CallFailed
from fleet.sessions import Connector, Plan, Sessions
from fleet.tasks import Tasks
from fleet.transaction_queue import QueueFull
from fleet.v16 import Payload
from fleet.vehicle import Vehicle

log = logging.getLogger(__name__)

PLUG_AFTER_S = 2  # simulated seconds from a remote start to the plug
LEAVE_AFTER_S = 2  # simulated seconds from the end of that session until the car is gone


@dataclass
class Visits:
    """`ready` is set while the server can be asked. `next_vehicle` makes cars for remote starts."""

    sessions: Sessions
    configuration: Configuration
    tasks: Tasks
    ready: asyncio.Event
    call: Callable[[str, Payload], Awaitable[Payload]]
    next_vehicle: Callable[[], Vehicle] | None
    time_scale: float
    say: Callable[[int, str], None]

    def plug_in(self, connector: Connector, vehicle: Vehicle) -> None:
        self.sessions.plug_in(connector, vehicle)
        if connector.id_tag and connector.free:
            self.sessions.start(connector, connector.id_tag)

    async def tap(self, connector: Connector, id_tag: str) -> str:
        """Return what the card was told. Raises QueueFull."""
        session = connector.session
        if session and session.id_tag.lower() == id_tag.lower():
            self.sessions.stop(session, "Local", id_tag)
            return "Accepted"
        status, parent = await self.authorize(connector.connector_id, id_tag)
        if status != "Accepted":
            return status
        if connector.session:
            if parent is None or parent != connector.session.parent_id_tag:
                return "Invalid"
            self.sessions.stop(connector.session, "Local", id_tag)
        elif not connector.operative:
            return "Invalid"
        elif connector.vehicle:
            self.sessions.start(connector, id_tag)
        else:
            self._await_car(connector, id_tag)
        return status

    async def authorize(self, connector_id: int, id_tag: str) -> tuple[str, str | None]:
        """Return the status of an id tag and its parent; "Offline" if nobody can be asked."""
        if self.ready.is_set():
            try:
                answer = await self.call("Authorize", v16.authorize(id_tag))
            except CallFailed as error:
                log.info("nobody to ask about a card: %s", error)
            else:
                info = answer["idTagInfo"]
                self.say(connector_id, f"card {id_tag}: {info['status']}")
                return info["status"], info.get("parentIdTag")
        status = "Accepted" if self.configuration.switched_on(keys.ALLOW_OFFLINE) else "Offline"
        self.say(connector_id, f"card {id_tag}: {status}, nobody to ask")
        return status, None

    async def remote_start(self, connector: Connector, id_tag: str) -> None:
        """Do what a driver does who pressed start in an app; the command has been accepted."""
        self.say(connector.connector_id, f"remote start for {id_tag}")
        if self.configuration.switched_on(keys.AUTHORIZE_REMOTE):
            status, _ = await self.authorize(connector.connector_id, id_tag)
            if status != "Accepted":
                return
        try:
            if connector.vehicle is None and self.next_vehicle:
                await self._visit(connector, id_tag, self.next_vehicle())
            elif connector.vehicle is None and connector.free:
                self._await_car(connector, id_tag)
            elif connector.free:
                self.sessions.start(connector, id_tag)
        except QueueFull as error:
            log.warning("the remote start failed: %s", error)

    async def _visit(self, connector: Connector, id_tag: str, vehicle: Vehicle) -> None:
        await self._pause(PLUG_AFTER_S)
        if connector.vehicle or not connector.free:
            return
        self.sessions.plug_in(connector, vehicle)
        session = self.sessions.start(connector, id_tag, Plan(until_idle=True))
        await session.ended.wait()
        parked = connector.vehicle
        await self._pause(LEAVE_AFTER_S)
        if connector.session is None and parked and connector.vehicle is parked:
            self.sessions.unplug(connector)

    def _await_car(self, connector: Connector, id_tag: str) -> None:
        connector.id_tag = id_tag
        self.sessions.set_status(connector, "Preparing")

        async def give_up() -> None:
            await self._pause(self.configuration.number(keys.CONNECTION_TIMEOUT))
            if connector.id_tag == id_tag and connector.vehicle is None:
                connector.id_tag = None
                self.sessions.set_status(connector, "Available")

        self.tasks.start(give_up(), "card waits for a car")

    async def _pause(self, simulated_s: float) -> None:
        await asyncio.sleep(simulated_s / self.time_scale)
