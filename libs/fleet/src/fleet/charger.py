"""A simulated OCPP 1.6J charger: what stands in the street, with a socket to its server.

The charger's clock is `now` (the machine's by default) plus `faults.clock_offset_s`. With a
`time_scale` of 60 a simulated hour passes in a minute. Every timestamp agrees with the energy of
its session, so the charger's clock runs ahead of the machine's, by 59 minutes in that minute. To
get a whole session with true-looking times at once there is `charge(…, backdate=True)`.
Heartbeats, timeouts and pauses between tries are always wall time.
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from fleet.configuration import Configuration
from fleet.faults import Faults
from fleet.link import Address, Backoff, CallFailed, Link, TimedOut
from fleet.remote import Remote
from fleet.sessions import ChargeResult, Connector, Plan, Session, Sessions, connectors_with
from fleet.tasks import Tasks
from fleet.transaction_queue import Retry, TransactionQueue
from fleet.upkeep import Identity, Status, Upkeep
from fleet.v16 import Electrics, Payload
from fleet.vehicle import Vehicle
from fleet.visits import Visits

log = logging.getLogger(__name__)

PLUGGED_BEFORE = timedelta(seconds=20)  # a backdated session: from the plug to the card
RESET_DRAIN_S = 10  # a soft reset gives the last stop so long to be delivered


@dataclass(eq=False)
class Charger:
    """Use as `async with Charger(url, "DEMO-1") as charger:`; it connects and stays connected.

    `url` is the part before the station id. What is set here counts from the start; only `faults`
    may be changed later. `meter_wh` is where every connector's meter stands. `next_vehicle` makes
    the cars that drivers plug in after a remote start, and drive away when full or stopped; without
    it a remote start waits for `plug_in`. `on_event` gets lines for people, `on_call` action,
    seconds and outcome ("ok", the CALLERROR's code, "TimedOut" or "LinkLost") of every own call.
    """

    url: str
    station_id: str
    password: str | None = field(default=None, repr=False)
    connectors: int = 1
    power_w: int = 11_000
    meter_wh: int = 0
    time_scale: float = 1
    now: Callable[[], datetime] | None = None
    dc: bool = False
    sample_interval_s: int = 60
    transaction_data: bool = False
    allow_offline: bool = False
    queue_size: int = 1000
    attempts: int = 3
    delay_s: float = 1
    call_timeout_s: float = 30
    reconnect_min_s: float = 0.5
    reconnect_max_s: float = 60
    seed: int | None = None
    faults: Faults = field(default_factory=Faults)
    next_vehicle: Callable[[], Vehicle] | None = None
    on_event: Callable[[str], None] = field(default=lambda _text: None, repr=False)
    on_call: Callable[[str, float, str], None] = field(
        default=lambda _action, _seconds, _outcome: None, repr=False
    )
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    vendor: str = "OpenLade"
    model: str = "Fleet"
    firmware: str = "1.0.0"

    def __post_init__(self) -> None:
        if min(self.connectors, self.power_w, self.time_scale, self.queue_size) <= 0:
            raise ValueError("connectors, power, time scale and queue size must be above zero")
        self._born = (datetime.now(UTC), time.monotonic())
        self._operative = True
        self._tasks = Tasks()
        self._configuration = Configuration(
            connectors=self.connectors,
            sample_interval_s=self.sample_interval_s,
            allow_offline=self.allow_offline,
            attempts=self.attempts,
        )
        self._queue = TransactionQueue(self.queue_size, Retry(self.attempts, self.delay_s))
        self._link = self._new_link()
        identity = Identity(self.vendor, self.model, self.station_id, self.firmware)
        self._upkeep = Upkeep(
            self._link,
            call=self._call,
            configuration=self._configuration,
            identity=identity,
            statuses=self._statuses,
            say=self._say,
        )
        self._sessions = Sessions(
            electrics=Electrics(self.power_w, self.dc),
            configuration=self._configuration,
            faults=self.faults,
            clock=self.clock,
            time_scale=self.time_scale,
            transaction_data=self.transaction_data,
            queue=self._queue,
            tasks=self._tasks,
            on_status=self._upkeep.report,
            say=self._say,
            connectors=connectors_with(self.connectors, self.meter_wh),
        )
        self._visits = Visits(
            sessions=self._sessions,
            configuration=self._configuration,
            tasks=self._tasks,
            ready=self._upkeep.ready,
            call=self._call,
            next_vehicle=self.next_vehicle,
            time_scale=self.time_scale,
            say=self._say,
        )
        self._remote = Remote(
            sessions=self._sessions,
            configuration=self._configuration,
            tasks=self._tasks,
            remote_start=self._visits.remote_start,
            reset=self._reset,
            trigger=self._trigger,
            set_station_operative=self._set_operative,
        )

    def _new_link(self) -> Link:
        seed = self.seed if self.seed is not None else self.station_id
        return Link(
            Address(self.url, self.station_id, self.password, self.tls),
            answer=self._answer,
            on_call=self.on_call,
            on_failure=lambda text: self._say(0, text),
            call_timeout_s=self.call_timeout_s,
            backoff=Backoff(self.reconnect_min_s, self.reconnect_max_s),
            dice=random.Random(seed),  # noqa: S311 - jitter, not a secret
        )

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start(self._link.run(), "link")
        self._tasks.start(self._upkeep.keep_booted(), "boot")
        self._tasks.start(self._upkeep.keep_reporting(), "status")
        self._tasks.start(self._upkeep.keep_beating(), "heartbeat")
        self._tasks.start(self._queue.deliver(self._upkeep.ready, self._deliver), "delivery")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    # The charger as such.

    @property
    def online(self) -> bool:
        """Connected and booted."""
        return self._upkeep.ready.is_set()

    @property
    def violations(self) -> int:
        """How many of the server's messages broke the official schema."""
        return self._link.violations

    @property
    def queued(self) -> int:
        """Transaction messages not delivered yet."""
        return len(self._queue)

    def clock(self) -> datetime:
        """Tell the charger's own time, aware, UTC."""
        if self.now is not None:
            moment = self.now()
        elif self.time_scale == 1:
            moment = datetime.now(UTC)
        else:
            born_at, born = self._born
            moment = born_at + timedelta(seconds=(time.monotonic() - born) * self.time_scale)
        return moment + timedelta(seconds=self.faults.clock_offset_s)

    def lines(self) -> list[str]:
        """Describe every connector in a line for people."""
        state = "" if self.online else " (offline)"
        return [f"{self.station_id}{state} {c.line()}" for c in self._sessions.connectors.values()]

    def connector(self, connector_id: int) -> Connector:
        """Look at a connector: its status, vehicle and running session."""
        try:
            return self._sessions.connectors[connector_id]
        except KeyError:
            raise ValueError(f"{self.station_id} has no connector {connector_id}") from None

    async def wait_ready(self, timeout_s: float = 30) -> None:
        """Wait until connected and booted. Raises NotReady."""
        await self._upkeep.wait_ready(timeout_s)

    async def go_offline(self, *, abruptly: bool = False) -> None:
        """Close the socket, without a close frame if abruptly. Charging and queueing go on."""
        await self._link.leave(abruptly=abruptly)

    async def go_online(self, timeout_s: float = 30) -> None:
        """Connect again; what was queued is then delivered. Raises NotReady."""
        self._link.seek()
        await self.wait_ready(timeout_s)

    async def drain(self, timeout_s: float = 30) -> None:
        """Wait until everything queued is delivered. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._queue.empty.wait()
            await self._upkeep.reported.wait()

    async def finish(self, timeout_s: float = 30) -> None:
        """Stop every session, unplug every car and drain. Raises TimeoutError."""
        for connector in self._sessions.connectors.values():
            if connector.session:
                self._sessions.stop(connector.session, "Local")
            if connector.vehicle:
                self._sessions.unplug(connector)
        await self.drain(timeout_s)

    # What drivers do.

    async def plug_in(self, connector: int, vehicle: Vehicle | None = None) -> None:
        """Plug in a car. If a card was accepted here before, charging starts."""
        self._visits.plug_in(self.connector(connector), vehicle or Vehicle())

    async def unplug(self, connector: int) -> None:
        """Take the car away; its session ends if it still runs."""
        self._sessions.unplug(self.connector(connector))

    async def tap(self, connector: int, id_tag: str) -> str:
        """Hold a card to the reader and return its AuthorizationStatus, or "Offline".

        An accepted card starts charging, or waits for a car; the card of a running session, or one
        with the same parent, stops it. Raises QueueFull.
        """
        return await self._visits.tap(self.connector(connector), id_tag)

    async def charge(
        self,
        connector: int,
        id_tag: str,
        *,
        energy_wh: int | None = None,
        duration_s: float | None = None,
        vehicle: Vehicle | None = None,
        backdate: bool = False,
        started_ago_s: float | None = None,
    ) -> ChargeResult:
        """Do a whole session: plug in, tap, charge, stop, unplug; return once it is delivered.

        It ends after `duration_s`; without that when the car has `energy_wh` or is full. Given
        both, the car takes the energy if the time is enough for it, and stays until the end.
        `backdate` generates the session at once, in the past, so that it ends now; so does
        `started_ago_s`, with the given start. An offline charger does not wait for the delivery.
        Raises QueueFull, and NeverEnds if a backdated session would take over a week.
        """
        chosen = self.connector(connector)
        if not chosen.free:
            raise ValueError(f"connector {connector} is not free")
        if vehicle is None:
            vehicle = Vehicle() if energy_wh is None else Vehicle.taking(energy_wh)
        ends_at = self.clock()
        plan = Plan(energy_wh, duration_s, until_idle=duration_s is None)
        if started_ago_s is not None:
            plan = plan.starting(ends_at - timedelta(seconds=started_ago_s))
        elif backdate:
            takes = self._sessions.forecast(chosen, chosen.vehicle or vehicle, plan)
            plan = plan.starting(ends_at - takes)
        if chosen.vehicle is None:
            began_at = plan.started_at - PLUGGED_BEFORE if plan.started_at else None
            self._sessions.plug_in(chosen, vehicle, began_at)
        status, _ = await self._visits.authorize(connector, id_tag)
        if status == "Accepted" and (not chosen.free or chosen.vehicle is None):
            status = "ConcurrentTx"  # somebody was faster while the server was asked
        if status != "Accepted":
            if chosen.session is None:
                self._sessions.unplug(chosen)
            now, meter_wh = self.clock(), chosen.register.wh
            return ChargeResult(None, meter_wh, meter_wh, now, now, status)
        session = self._sessions.start(chosen, id_tag, plan)
        await self._see_through(session, ends_at)
        self._sessions.unplug(chosen, session.ended_at if session.backdated else None)
        if self._link.wanted:
            await session.delivered.wait()
        return session.result()

    async def _see_through(self, session: Session, ends_at: datetime) -> None:
        if not session.backdated:
            await session.ended.wait()
            return
        online = self._link.wanted
        if online:
            await session.answered.wait()
        await self._sessions.play(session, ends_at, online=online)

    # What the parts need of each other.

    def _answer(self, action: str, payload: Payload) -> Payload:
        answer = self._remote.answer(action, payload)
        if action == "ChangeConfiguration":
            self._upkeep.beat_differently()
        return answer

    async def _call(self, action: str, payload: Payload) -> Payload:
        answer = await self._link.call(action, payload)
        if self.faults.duplicate:
            with suppress(CallFailed):
                again = await self._link.call(action, payload)
                if again.get("transactionId") != answer.get("transactionId"):
                    self._say(0, f"a repeated {action} got another transaction: {answer}, {again}")
        return answer

    async def _deliver(self, action: str, payload: Payload, tries: int) -> Payload:
        if self.faults.garbage and tries == 0:
            await self._link.send_garbage()
        answer = await self._call(action, payload)
        if tries < self.faults.drop_answers:
            raise TimedOut(f"{action}: the answer was lost on purpose")
        return answer

    async def _reset(self, hard: bool) -> None:
        self._say(0, "hard reset" if hard else "soft reset")
        for connector in self._sessions.connectors.values():
            if connector.session:
                self._sessions.stop(connector.session, "HardReset" if hard else "SoftReset")
        if not hard:
            with suppress(TimeoutError):
                await self.drain(RESET_DRAIN_S)
        await self._upkeep.reboot()

    async def _trigger(self, message: str, connector_id: int | None) -> None:
        if message != "MeterValues":
            await self._upkeep.trigger(message, connector_id)
            return
        for connector in self._sessions.connectors.values():
            if connector_id in {None, connector.connector_id}:
                self._sessions.report_meter(connector, "Trigger")

    def _set_operative(self, operative: bool) -> None:
        self._operative = operative
        self._upkeep.report(*self._statuses()[0])

    def _statuses(self) -> list[Status]:
        now = self.clock()
        station = (0, "Available" if self._operative else "Unavailable", now)
        connectors = self._sessions.connectors.values()
        return [station, *((c.connector_id, c.status, c.status_at or now) for c in connectors)]

    def _say(self, connector_id: int, text: str) -> None:
        where = f"{self.station_id}/{connector_id}" if connector_id else self.station_id
        log.info("%s: %s", where, text)
        self.on_event(f"{where}: {text}")
