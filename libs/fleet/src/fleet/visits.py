"""People at the charger: cards held to the reader, cars plugged in, starts from afar."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fleet import configuration as keys
from fleet.authority import Authority, IdToken, Verdict
from fleet.configuration import Configuration
from fleet.connectors import ChargeResult, Connector, Plan, Session
from fleet.dialect import Dialect, Payload
from fleet.link import CallFailed
from fleet.sessions import Sessions
from fleet.tasks import Tasks
from fleet.transaction_queue import QueueFull
from fleet.vehicle import Vehicle

log = logging.getLogger(__name__)

PLUG_AFTER_S = 2  # simulated seconds from a remote start to the plug
PLUGGED_BEFORE = timedelta(seconds=20)  # a backdated session: from the plug to the card
LEAVE_AFTER_S = 2  # simulated seconds from the end of that session until the car is gone


@dataclass
class Visits:
    """`ready` is set while the server can be asked, `wanted` tells whether the charger wants to be
    online. `next_vehicle` makes cars for remote starts.
    """

    dialect: Dialect
    sessions: Sessions
    configuration: Configuration
    authority: Authority
    tasks: Tasks
    ready: asyncio.Event
    wanted: Callable[[], bool]
    call: Callable[[str, Payload], Awaitable[Payload]]
    next_vehicle: Callable[[], Vehicle] | None
    time_scale: float
    say: Callable[[int, str], None]

    def plug_in(self, connector: Connector, vehicle: Vehicle) -> None:
        self.sessions.plug_in(connector, vehicle)
        if connector.waiting and connector.free:
            self.sessions.start(connector, *connector.waiting)

    async def tap(self, connector: Connector, token: IdToken) -> str:
        """Return what the card was told. Raises QueueFull."""
        session = connector.session
        if session and session.token.same(token):
            self.sessions.stop(session, "Local", token)
            return "Accepted"
        verdict = await self.authorize(connector.connector_id, token)
        if not verdict.accepted:
            return verdict.status
        if connector.session:
            if verdict.group is None or verdict.group != connector.session.group:
                return "Invalid"
            self.sessions.stop(connector.session, "Local", token)
        elif not connector.free_for(token, verdict.group):
            return "Invalid"
        elif connector.vehicle:
            self.sessions.start(connector, token)
        else:
            self._await_car(connector, token, Plan())
        return verdict.status

    async def charge(
        self, connector: Connector, token: IdToken, plan: Plan, vehicle: Vehicle, now: datetime
    ) -> ChargeResult:
        """Do a whole session and return once it is delivered, or queued while offline."""
        if not connector.free:
            raise ValueError(f"connector {connector.connector_id} is not free")
        if connector.vehicle is None:
            began_at = plan.started_at - PLUGGED_BEFORE if plan.started_at else None
            self.sessions.plug_in(connector, vehicle, began_at)
        verdict = await self.authorize(connector.connector_id, token)
        status = verdict.status
        if verdict.accepted and (not connector.free or connector.vehicle is None):
            status = "ConcurrentTx"  # somebody was faster while the server was asked
        elif verdict.accepted and not connector.free_for(token, verdict.group):
            status = "Invalid"  # the connector is kept for somebody else
        if status != "Accepted":
            if connector.session is None:
                self.sessions.unplug(connector)
            at, meter_wh = self.sessions.clock(), connector.register.wh
            return ChargeResult(None, meter_wh, meter_wh, at, at, status)
        session = self.sessions.start(connector, token, plan)
        await self._see_through(session, now)
        self.sessions.unplug(connector, session.ended_at if session.backdated else None)
        if self.wanted():
            await session.delivered.wait()
        return session.result()

    async def _see_through(self, session: Session, now: datetime) -> None:
        if not session.backdated:
            await session.ended.wait()
            return
        online = self.wanted()
        if online:
            await session.answered.wait()
        await self.sessions.play(session, now, online=online)

    async def authorize(self, connector_id: int, token: IdToken) -> Verdict:
        """Ask the server, or decide oneself; "Offline" if nobody can be asked."""
        own = self._own_verdict(token)
        if own and own.accepted and self.configuration.switched_on(keys.LOCAL_FIRST):
            self.say(connector_id, f"card {token}: Accepted, by the charger itself")
            return own
        if self.ready.is_set():
            try:
                answer = await self.call("Authorize", self.dialect.authorize(token))
            except CallFailed as error:
                log.info("nobody to ask about a card: %s", error)
            else:
                verdict = self.dialect.verdict(answer) or Verdict("Invalid")
                if self.configuration.switched_on(keys.CACHE):
                    self.authority.remember(token, verdict)
                self.say(connector_id, f"card {token}: {verdict.status}")
                return verdict
        verdict = Verdict("Offline")
        if own and self.configuration.switched_on(keys.LOCAL_OFFLINE):
            verdict = own
        elif self.configuration.switched_on(keys.UNKNOWN_OFFLINE):
            verdict = Verdict("Accepted")
        self.say(connector_id, f"card {token}: {verdict.status}, nobody to ask")
        return verdict

    def _own_verdict(self, token: IdToken) -> Verdict | None:
        if not self.configuration.switched_on(keys.LOCAL_LIST):
            return self.authority.cached.get(token.key)
        return self.authority.own_verdict(token)

    async def remote_start(self, connector: Connector, token: IdToken, plan: Plan) -> None:
        """Do what a driver does who pressed start in an app; the command has been accepted."""
        self.say(connector.connector_id, f"remote start for {token}")
        if self.configuration.switched_on(keys.AUTHORIZE_REMOTE):
            verdict = await self.authorize(connector.connector_id, token)
            if not verdict.accepted:
                return
        try:
            if connector.vehicle is None and self.next_vehicle:
                await self._visit(connector, token, plan, self.next_vehicle())
            elif connector.vehicle is None and connector.free:
                self._await_car(connector, token, plan)
            elif connector.free:
                self.sessions.start(connector, token, plan)
        except QueueFull as error:
            log.warning("the remote start failed: %s", error)

    async def _visit(
        self, connector: Connector, token: IdToken, plan: Plan, vehicle: Vehicle
    ) -> None:
        await self._pause(PLUG_AFTER_S)
        if connector.vehicle or not connector.free:
            return
        self.sessions.plug_in(connector, vehicle)
        session = self.sessions.start(connector, token, replace(plan, until_idle=True))
        await session.ended.wait()
        parked = connector.vehicle
        await self._pause(LEAVE_AFTER_S)
        if connector.session is None and parked and connector.vehicle is parked:
            self.sessions.unplug(connector)

    def _await_car(self, connector: Connector, token: IdToken, plan: Plan) -> None:
        connector.waiting = waiting = (token, plan)
        self.sessions.set_status(connector, "Preparing")

        async def give_up() -> None:
            await self._pause(self.configuration.number(keys.CONNECTION_TIMEOUT))
            if connector.waiting is waiting and connector.vehicle is None:
                connector.waiting = None
                self.sessions.set_status(connector, connector.idle_status)

        self.tasks.start(give_up(), "card waits for a car")

    async def _pause(self, simulated_s: float) -> None:
        await asyncio.sleep(simulated_s / self.time_scale)
