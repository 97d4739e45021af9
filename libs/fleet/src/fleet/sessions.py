"""A charger's connectors and what charges on them, whether the server hears of it now or later."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fleet import configuration as keys
from fleet import v16
from fleet.charging import Charging, Register, Sample
from fleet.configuration import Configuration
from fleet.faults import Faults
from fleet.tasks import Tasks
from fleet.transaction_queue import Report, TransactionQueue
from fleet.v16 import Electrics, Payload
from fleet.vehicle import MJ_PER_WH, Vehicle

SHORTEST_SLEEP_S = 0.02  # of wall time: however fast simulated time runs, the loop has other work
LONGEST_SLEEP_S = 1  # of wall time: somebody else's clock may jump
DEAUTHORISED_AFTER = timedelta(
    seconds=2
)  # of a backdated session: the answer's way and the contactor


@dataclass(frozen=True)
class ChargeResult:
    """What became of a session.

    `status` is OCPP's AuthorizationStatus, "Offline" when nobody could be asked, or "NotDelivered"
    when the server never accepted the start. `transaction_id` is None if no session was started,
    or while that of an offline charger waits for delivery.
    """

    transaction_id: int | None
    meter_start_wh: int
    meter_stop_wh: int
    started_at: datetime
    ended_at: datetime
    status: str

    @property
    def energy_wh(self) -> int:
        return self.meter_stop_wh - self.meter_start_wh


@dataclass(eq=False)
class Session:
    """A car charging. `transaction_id` is None until the server has answered the start.

    `status` is the server's word on the id tag. `delivered` is set when the stop has been answered.
    """

    connector_id: int
    id_tag: str
    charging: Charging
    backdated: bool = False
    meter_start_wh: int = field(init=False)
    transaction_id: int | None = None
    parent_id_tag: str | None = None
    status: str = "Accepted"
    reason: str | None = None
    meter_stop_wh: int | None = None
    ended_at: datetime | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    delivered: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.meter_start_wh = self.charging.register.wh

    @property
    def started_at(self) -> datetime:
        return self.charging.started_at

    @property
    def energy_wh(self) -> int:
        """Watt-hours so far, or in all once it has ended."""
        now_wh = self.charging.register.wh if self.meter_stop_wh is None else self.meter_stop_wh
        return now_wh - self.meter_start_wh

    def result(self) -> ChargeResult:
        """Sum up a session that has ended."""
        assert self.ended_at is not None
        return ChargeResult(
            self.transaction_id,
            self.meter_start_wh,
            self.meter_start_wh + self.energy_wh,
            self.started_at,
            self.ended_at,
            self.status,
        )


@dataclass(eq=False)
class Connector:
    """One socket of the charger. `id_tag` is a card that was accepted and waits for a car."""

    connector_id: int
    register: Register
    status: str = "Available"
    status_at: datetime | None = None
    vehicle: Vehicle | None = None
    session: Session | None = None
    operative: bool = True
    operative_later: bool | None = None
    id_tag: str | None = None

    @property
    def free(self) -> bool:
        return self.session is None and self.operative

    def line(self) -> str:
        """Describe it for people."""
        about = f"{self.connector_id}: {self.status:<12} {self.register.wh / 1000:>12.3f} kWh"
        if self.session is None:
            return about
        charging = self.session.charging
        soc = charging.vehicle.soc_after(charging.taken_mj)
        return (
            f"{about}  {self.session.id_tag} took {self.session.energy_wh / 1000:.3f} kWh, "
            f"{charging.power_w / 1000:.1f} kW, battery {soc:.0%}"
        )


@dataclass(frozen=True)
class Plan:
    """What a session is meant to be. Times are the charger's."""

    energy_wh: int | None = None
    duration_s: float | None = None
    until_idle: bool = False
    started_at: datetime | None = None
    """In the past for a backdated session, which is then generated at once."""

    def starting(self, at: datetime) -> "Plan":
        return replace(self, started_at=at)


@dataclass
class Sessions:
    """`on_status` gets connector id, status, moment; `say` connector id and a line for people."""

    electrics: Electrics
    configuration: Configuration
    faults: Faults
    clock: Callable[[], datetime]
    time_scale: float
    transaction_data: bool
    queue: TransactionQueue
    tasks: Tasks
    on_status: Callable[[int, str, datetime], None]
    say: Callable[[int, str], None]
    connectors: dict[int, Connector]

    def set_status(self, connector: Connector, status: str, at: datetime | None = None) -> None:
        if connector.status == status:
            return
        connector.status = status
        connector.status_at = at or self.clock()
        self.on_status(connector.connector_id, status, connector.status_at)

    def plug_in(self, connector: Connector, vehicle: Vehicle, at: datetime | None = None) -> None:
        if connector.vehicle is not None:
            raise ValueError(f"connector {connector.connector_id} has a car already")
        connector.vehicle = vehicle
        if connector.operative:
            self.set_status(connector, "Preparing", at)

    def unplug(self, connector: Connector, at: datetime | None = None) -> None:
        if connector.session:
            self.stop(connector.session, "EVDisconnected")
        connector.vehicle = None
        connector.id_tag = None
        self.set_status(connector, "Available" if connector.operative else "Unavailable", at)

    def start(self, connector: Connector, id_tag: str, plan: Plan | None = None) -> Session:
        """Close the contactor and queue the StartTransaction. Raises QueueFull."""
        if connector.session or connector.vehicle is None or not connector.operative:
            raise ValueError(f"connector {connector.connector_id} cannot start a session")
        charging = self._charging(connector, connector.vehicle, plan or Plan())
        backdated = plan is not None and plan.started_at is not None
        session = Session(connector.connector_id, id_tag, charging, backdated)
        start = v16.start_transaction(
            connector.connector_id, id_tag, session.meter_start_wh, charging.started_at
        )
        self.queue.put(
            Report("StartTransaction", lambda: start, lambda answer: self._started(session, answer))
        )
        connector.session = session
        connector.id_tag = None
        self.set_status(connector, "Charging", charging.started_at)
        if not backdated:
            self.tasks.start(
                self._drive(connector, session), f"session on {connector.connector_id}"
            )
        return session

    def forecast(self, connector: Connector, vehicle: Vehicle, plan: Plan) -> timedelta:
        """How long a session would take. Raises NeverEnds."""
        return self._charging(connector, vehicle, plan).forecast()

    def stop(self, session: Session, reason: str, id_tag: str | None = None) -> None:
        """Open the contactor and queue the StopTransaction.

        A session that has ended stays as it is.
        """
        if session.ended_at is not None:
            return
        connector = self.connectors[session.connector_id]
        charging = session.charging
        if not session.backdated:
            self._advance(connector, session, self.clock())
        session.reason = reason
        session.ended_at = charging.at
        session.meter_stop_wh = charging.register.wh
        data = self._transaction_data(session)
        meter_wh, at = session.meter_stop_wh, session.ended_at
        self.queue.put(
            Report(
                "StopTransaction",
                lambda: v16.stop_transaction(
                    session.transaction_id,
                    meter_wh=meter_wh,
                    at=at,
                    reason=reason,
                    id_tag=id_tag,
                    data=data,
                    faults=self.faults,
                ),
                lambda answer: self._stopped(session, answer),
            )
        )
        if connector.vehicle:
            soc = connector.vehicle.soc_after(charging.taken_mj)
            connector.vehicle = replace(connector.vehicle, soc=soc)
        connector.session = None
        self.set_status(connector, "Finishing", at)
        if connector.operative_later is not None:
            self.set_operative(connector, operative=connector.operative_later)
        session.ended.set()

    async def play(self, session: Session, until: datetime, *, online: bool) -> None:
        """Generate a backdated session up to a moment; online, no faster than the queue empties."""
        connector = self.connectors[session.connector_id]
        charging = session.charging
        samples = max(1, self.queue.size // 4)
        portion = timedelta(seconds=samples * (charging.sample_interval_s or 3600))
        while session.ended_at is None and not charging.over and charging.at < until:
            if online:
                await self.queue.room()
            self._advance(connector, session, min(until, charging.at + portion))
        self.stop(session, "Local", session.id_tag)

    def set_operative(self, connector: Connector, *, operative: bool) -> None:
        connector.operative = operative
        connector.operative_later = None
        connector.id_tag = None
        plugged = "Preparing" if connector.vehicle else "Available"
        self.set_status(connector, plugged if operative else "Unavailable")

    def report_meter(self, connector: Connector, context: str) -> None:
        """Queue meter values of this moment, with or without a session."""
        session = connector.session
        if session is None:
            sample = Sample(self.clock(), connector.register.wh, 0, None, context)
        else:
            if not session.backdated:
                self._advance(connector, session, self.clock())
            sample = session.charging.sample(context)
        self._report(connector, session, [sample])

    def find(self, transaction_id: int) -> Session | None:
        for connector in self.connectors.values():
            session = connector.session
            if session and session.answered.is_set() and session.transaction_id == transaction_id:
                return session
        return None

    def _charging(self, connector: Connector, vehicle: Vehicle, plan: Plan) -> Charging:
        started_at = plan.started_at or self.clock()
        register = connector.register
        return Charging(
            vehicle=vehicle,
            register=register,
            limit_w=self.electrics.power_w,
            started_at=started_at,
            sample_interval_s=self.configuration.number(keys.SAMPLE_INTERVAL),
            target_wh=None if plan.energy_wh is None else register.wh + plan.energy_wh,
            end_at=(
                None if plan.duration_s is None else started_at + timedelta(seconds=plan.duration_s)
            ),
            ends_when_idle=plan.until_idle,
        )

    async def _drive(self, connector: Connector, session: Session) -> None:
        charging = session.charging
        while session.ended_at is None:
            if charging.over:
                self.stop(session, "Local", session.id_tag)
                return
            ahead_s = (charging.next_at() - self.clock()).total_seconds() / self.time_scale
            wait_s = min(max(ahead_s, SHORTEST_SLEEP_S), LONGEST_SLEEP_S)
            try:
                async with asyncio.timeout(wait_s):
                    await session.ended.wait()
            except TimeoutError:
                self._advance(connector, session, self.clock())

    def _advance(self, connector: Connector, session: Session, until: datetime) -> None:
        charging = session.charging
        samples = charging.advance(until)
        self._report(connector, session, samples)
        interval_s = self.configuration.number(keys.SAMPLE_INTERVAL)
        if interval_s != charging.sample_interval_s:
            charging.sample_every(interval_s)
        if charging.idle:
            self.set_status(connector, "SuspendedEV", charging.at)

    def _report(self, connector: Connector, session: Session | None, samples: list[Sample]) -> None:
        measurands = self.configuration.listed(keys.SAMPLED_DATA)
        for sample in samples:
            value = v16.meter_value(sample, self.electrics, self.faults, measurands)
            self.queue.put(self._meter_report(connector.connector_id, session, value))

    def _meter_report(self, connector_id: int, session: Session | None, value: Payload) -> Report:
        def payload() -> Payload:
            transaction_id = session.transaction_id if session else None
            return v16.meter_values(connector_id, transaction_id, [value], self.faults)

        return Report("MeterValues", payload, lambda _answer: None)

    def _transaction_data(self, session: Session) -> list[Payload]:
        if not self.transaction_data:
            return []
        begin = Sample(session.started_at, session.meter_start_wh, 0, None, "Transaction.Begin")
        end = replace(session.charging.sample("Transaction.End"), power_w=0)
        return [
            v16.meter_value(sample, self.electrics, self.faults, [v16.REGISTER])
            for sample in (begin, end)
        ]

    def _started(self, session: Session, answer: Payload | None) -> None:
        if answer is None:
            session.status = "NotDelivered"
            self.say(session.connector_id, "the start was never accepted by the server")
        else:
            session.transaction_id = answer["transactionId"]
            info = answer["idTagInfo"]
            session.status = info["status"]
            session.parent_id_tag = info.get("parentIdTag")
            meter_kwh = session.meter_start_wh / 1000
            self.say(
                session.connector_id,
                f"transaction {session.transaction_id} started at "
                f"{session.started_at:%Y-%m-%d %H:%M:%S} UTC, meter {meter_kwh:.3f} kWh",
            )
        refused = session.status not in {"Accepted", "NotDelivered"}
        if refused and self.configuration.switched_on(keys.STOP_ON_INVALID):
            self.say(session.connector_id, f"the server says {session.status}: stop charging")
            if session.backdated and session.ended_at is None:
                connector = self.connectors[session.connector_id]
                self._advance(connector, session, session.started_at + DEAUTHORISED_AFTER)
            self.stop(session, "DeAuthorized")
        session.answered.set()

    def _stopped(self, session: Session, answer: Payload | None) -> None:
        session.delivered.set()
        assert session.ended_at is not None
        minutes = (session.ended_at - session.started_at) / timedelta(minutes=1)
        self.say(
            session.connector_id,
            f"transaction {session.transaction_id} "
            f"{'stopped' if answer is not None else 'stopped, which the server never accepted'}: "
            f"{session.energy_wh / 1000:.3f} kWh in {minutes:.1f} min ({session.reason})",
        )


def connectors_with(count: int, meter_wh: int) -> dict[int, Connector]:
    """Make the connectors 1 to `count`, their meters at `meter_wh`."""
    return {n: Connector(n, Register(meter_wh * MJ_PER_WH)) for n in range(1, count + 1)}
