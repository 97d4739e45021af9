"""A simulated charger: what stands in the street, with a socket to its server.

The charger's clock is `now` (the machine's by default) plus `faults.clock_offset_s`. With a
`time_scale` of 60 a simulated hour passes in a minute. Every timestamp agrees with the energy of
its session, so the charger's clock runs ahead of the machine's, by 59 minutes in that minute. To
get a whole session with true-looking times at once there is `charge(…, backdate=True)`.
Heartbeats, timeouts and pauses between tries are always wall time.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from fleet.authority import Authority, IdToken
from fleet.certificates import Certificates, ClientCertificate
from fleet.configuration import Configuration
from fleet.connectors import ChargeResult, Connector, Plan, connectors_with
from fleet.dialect import Electrics, Identity, Payload, moment
from fleet.faults import Faults
from fleet.limits import Limits
from fleet.link import Address, Backoff, CallFailed, Link, TimedOut
from fleet.maintenance import Maintenance
from fleet.parts import Parts, obey
from fleet.sessions import Sessions
from fleet.tasks import Tasks
from fleet.transaction_queue import Retry, TransactionQueue
from fleet.upkeep import Status, Upkeep
from fleet.vehicle import Vehicle
from fleet.versions import COMMANDS, dialect
from fleet.visits import Visits

log = logging.getLogger(__name__)

RESET_DRAIN_S = 10  # a soft reset gives the last stop so long to be delivered


@dataclass(eq=False)
class Charger:
    """Use as `async with Charger(url, "DEMO-1") as charger:`; it connects and stays connected.

    `url` is the part before the station id. What is set here counts from the start; only `faults`
    may be changed later. `meter_wh` is where every connector's meter stands. `next_vehicle` makes
    the cars that drivers plug in after a remote start, and drive away when full or stopped; without
    it a remote start waits for `plug_in`. `ocpp` is "1.6", "2.0.1" or "2.1".

    The security profile is what the rest amounts to: without a password 0; with it 1; with a
    `wss:` address 2; with a `certificate` as well 3. `authorities` are the server's roots, PEM; if
    empty, the system's. `on_event` gets lines for people, `on_call` action,
    seconds and outcome ("ok", the CALLERROR's code, "TimedOut" or "LinkLost") of every own call.
    """

    url: str
    station_id: str
    password: str | None = field(default=None, repr=False)
    ocpp: str = "1.6"
    authorities: str = field(default="", repr=False)
    certificate: ClientCertificate | None = field(default=None, repr=False)
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
    vendor: str = "OpenLade"
    model: str = "Fleet"
    firmware: str = "1.0.0"

    def __post_init__(self) -> None:
        if min(self.connectors, self.power_w, self.time_scale, self.queue_size) <= 0:
            raise ValueError("connectors, power, time scale and queue size must be above zero")
        if self.ocpp not in COMMANDS:
            raise ValueError(f"no such version: {self.ocpp}")
        self._born = (datetime.now(UTC), time.monotonic())
        self._operative = True
        self._tasks = Tasks()
        self._configuration = Configuration(
            connectors=self.connectors,
            sample_interval_s=self.sample_interval_s,
            allow_offline=self.allow_offline,
            attempts=self.attempts,
            security_profile=self.security_profile,
        )
        self._queue = TransactionQueue(self.queue_size, Retry(self.attempts, self.delay_s))
        self._certificates = Certificates(self.station_id, self.authorities, self.certificate)
        self._electrics = Electrics(self.power_w, self.dc)
        self._limits = Limits(self._electrics)
        self._identity = Identity(self.vendor, self.model, self.station_id, self.firmware)
        self._dialect = dialect(
            self.ocpp, self._electrics, self.faults, self._configuration, lambda: self.online
        )
        self._link = self._new_link()
        self._upkeep = Upkeep(
            self._link,
            dialect=self._dialect,
            call=self._call,
            configuration=self._configuration,
            identity=self._identity,
            statuses=self._statuses,
            say=self._say,
        )
        self._sessions = self._new_sessions()
        self._visits = Visits(
            dialect=self._dialect,
            sessions=self._sessions,
            configuration=self._configuration,
            authority=Authority(),
            tasks=self._tasks,
            ready=self._upkeep.ready,
            wanted=lambda: self._link.wanted,
            call=self._call,
            next_vehicle=self.next_vehicle,
            time_scale=self.time_scale,
            say=self._say,
        )
        self._parts = self._new_parts()

    def _new_link(self) -> Link:
        return Link(
            Address(self.url, self.station_id, self.password, self._certificates.tls),
            dialect=self._dialect,
            faults=self.faults,
            answer=self._answer,
            on_call=self.on_call,
            on_failure=lambda text: self._say(0, text),
            call_timeout_s=self.call_timeout_s,
            backoff=Backoff(
                self.reconnect_min_s,
                self.reconnect_max_s,
                self.station_id if self.seed is None else str(self.seed),
            ),
        )

    def _new_sessions(self) -> Sessions:
        return Sessions(
            dialect=self._dialect,
            electrics=self._electrics,
            configuration=self._configuration,
            faults=self.faults,
            limits=self._limits,
            clock=self.clock,
            time_scale=self.time_scale,
            transaction_data=self.transaction_data,
            queue=self._queue,
            tasks=self._tasks,
            on_status=self._upkeep.report,
            say=self._say,
            connectors=connectors_with(self.connectors, self.meter_wh),
        )

    def _new_parts(self) -> Parts:
        maintenance = Maintenance(
            call=self._call,
            identity=self._identity,
            faults=self.faults,
            connectors=self._sessions.connectors,
            clock=self.clock,
            time_scale=self.time_scale,
            ready=self._upkeep.ready,
            start=self._tasks.start,
            reboot=self._reboot,
        )
        return Parts(
            dialect=self._dialect,
            identity=self._identity,
            address=self._link.address,
            configuration=self._configuration,
            authority=self._visits.authority,
            certificates=self._certificates,
            limits=self._limits,
            sessions=self._sessions,
            visits=self._visits,
            upkeep=self._upkeep,
            maintenance=maintenance,
            tasks=self._tasks,
            call=self._call,
            clock=self.clock,
            say=self._say,
            reset=self._reset,
            set_station_operative=self._set_operative,
            operative=lambda: self._operative,
        )

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start(self._link.run(), "link")
        self._tasks.start(self._upkeep.keep_booted(), "boot")
        self._tasks.start(self._upkeep.keep_talking(), "status and heartbeat")
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
    def security_profile(self) -> int:
        """0 is no security at all; 1 to 3 as OCPP counts them."""
        if not self.url.startswith("wss:"):
            return 0 if self.password is None else 1
        return 2 if self.certificate is None else 3

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

    async def cut(self) -> None:
        """Lose the socket, without a close frame; the charger comes back by itself."""
        await self._link.drop(abruptly=True)

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
        return await self._visits.tap(self.connector(connector), IdToken(id_tag))

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
        if vehicle is None:
            vehicle = Vehicle() if energy_wh is None else Vehicle.taking(energy_wh)
        ends_at = self.clock()
        plan = Plan(energy_wh, duration_s, until_idle=duration_s is None)
        chosen = self.connector(connector)
        if started_ago_s is not None:
            plan = plan.starting(ends_at - timedelta(seconds=started_ago_s))
        elif backdate:
            takes = self._sessions.forecast(chosen, chosen.vehicle or vehicle, plan)
            plan = plan.starting(ends_at - takes)
        return await self._visits.charge(chosen, IdToken(id_tag), plan, vehicle, ends_at)

    # What the parts need of each other.

    def _answer(self, action: str, payload: Payload) -> Payload:
        return obey(self._parts, COMMANDS[self.ocpp], action, payload)

    async def _call(self, action: str, payload: Payload) -> Payload:
        answer = await self._link.call(action, payload)
        if self.faults.duplicate:
            with suppress(CallFailed):
                await self._link.call(action, payload)
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
        await self._reboot("RemoteReset" if hard else "ScheduledReset")

    async def _reboot(self, reason: str) -> None:
        self._parts.follow_network_profiles(self.url)
        await self._upkeep.reboot(reason)

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
        self._parts.maintenance.journal.append(f"{moment(self.clock())} {where}: {text}")
        self.on_event(f"{where}: {text}")
