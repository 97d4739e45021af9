"""What charges on a charger's connectors, whether the server hears of it now or later."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from fleet import configuration as keys
from fleet.authority import IdToken
from fleet.charging import Ceiling, Charging, Sample
from fleet.configuration import Configuration
from fleet.connectors import Connector, Plan, Session
from fleet.dialect import Dialect, Electrics, Message, Payload, TransactionId
from fleet.faults import Faults
from fleet.limits import Limits, Profile
from fleet.tasks import Tasks
from fleet.transaction_queue import Kind, Report, TransactionQueue
from fleet.vehicle import Vehicle

SHORTEST_SLEEP_S = 0.02  # of wall time: however fast simulated time runs, the loop has other work
LONGEST_SLEEP_S = 1  # of wall time: somebody else's clock may jump
DEAUTHORISED_AFTER = timedelta(
    seconds=2
)  # of a backdated session: the answer's way and the contactor


@dataclass
class Sessions:
    """`on_status` gets connector id, status, moment; `say` connector id and a line for people."""

    dialect: Dialect
    electrics: Electrics
    configuration: Configuration
    faults: Faults
    limits: Limits
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
        connector.waiting = None
        self.set_status(connector, connector.idle_status, at)

    def start(self, connector: Connector, token: IdToken, plan: Plan | None = None) -> Session:
        """Close the contactor and queue the start. Raises QueueFull."""
        if connector.session or connector.vehicle is None or not connector.operative:
            raise ValueError(f"connector {connector.connector_id} cannot start a session")
        plan = plan or Plan()
        if connector.reservation:
            plan = replace(plan, reservation_id=connector.reservation.reservation_id)
        charging = self._charging(connector, connector.vehicle, plan)
        session = Session(
            connector.connector_id, token, charging, plan, self.dialect.new_transaction_id()
        )
        if plan.profile:
            self.limits.put(Profile(connector.connector_id, plan.profile))
        start = self.dialect.started(session)
        if self.faults.lose_start:
            session.answered.set()
        else:
            self._queue(start, Kind.START, partial(self._started, session))
        connector.session = session
        connector.waiting = None
        connector.reservation = None
        self.set_status(connector, "Charging", charging.started_at)
        if not session.backdated:
            self.tasks.start(
                self._drive(connector, session), f"session on {connector.connector_id}"
            )
        return session

    def forecast(self, connector: Connector, vehicle: Vehicle, plan: Plan) -> timedelta:
        """How long a session would take. Raises NeverEnds."""
        return self._charging(connector, vehicle, plan).forecast()

    def stop(self, session: Session, reason: str, token: IdToken | None = None) -> None:
        """Open the contactor and queue the stop. A session that has ended stays as it is."""
        if session.ended_at is not None:
            return
        connector = self.connectors[session.connector_id]
        charging = session.charging
        if not session.backdated:
            self._advance(connector, session, self.clock())
        session.reason = reason
        session.state = "Finishing"
        session.ended_at = charging.at
        session.meter_stop_wh = charging.register.wh
        stop = self.dialect.ended(session, token, self._transaction_data(session))
        self._queue(stop, Kind.STOP, partial(self._stopped, session))
        self._release(session)
        if connector.vehicle:
            soc = connector.vehicle.soc_after(charging.taken_mj)
            connector.vehicle = replace(connector.vehicle, soc=soc)
        connector.session = None
        self.limits.forget_transaction(session)
        self.set_status(connector, "Finishing", session.ended_at)
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
        self.stop(session, "Local", session.token)

    def set_operative(self, connector: Connector, *, operative: bool) -> None:
        connector.operative = operative
        connector.operative_later = None
        connector.waiting = None
        self.set_status(connector, connector.idle_status)

    def report_meter(self, connector: Connector, context: str) -> None:
        """Queue meter values of this moment, with or without a session."""
        session = connector.session
        if session is None:
            sample = Sample(self.clock(), connector.register.wh, 0, None, context)
        else:
            self._catch_up(connector, session)
            sample = session.charging.sample(context)
        self._report(connector, session, [sample])

    def limits_change(self) -> None:
        """Charge up to this moment: another limit will count from here on."""
        for connector in self.connectors.values():
            if connector.session:
                self._catch_up(connector, connector.session)

    def find(self, transaction_id: TransactionId) -> Session | None:
        for connector in self.connectors.values():
            if connector.session and connector.session.transaction_id == transaction_id:
                return connector.session
        return None

    def _catch_up(self, connector: Connector, session: Session) -> None:
        if not session.backdated:
            self._advance(connector, session, self.clock())

    def _charging(self, connector: Connector, vehicle: Vehicle, plan: Plan) -> Charging:
        started_at = plan.started_at or self.clock()
        register = connector.register

        def ceiling(at: datetime) -> Ceiling:
            return self.limits.ceiling(connector.connector_id, at, started_at, connector.session)

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
            ceiling=ceiling,
        )

    async def _drive(self, connector: Connector, session: Session) -> None:
        charging = session.charging
        while session.ended_at is None:
            if charging.over:
                self.stop(session, "Local", session.token)
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
        state = "Charging"
        if charging.idle:
            state = "SuspendedEV"
        elif charging.held_back:
            state = "SuspendedEVSE"
        if state != session.state:
            session.state = state
            self.set_status(connector, state, charging.at)
            change = self.dialect.changed(session, "ChargingStateChanged")
            if change:
                self._update(session, change)

    def _report(self, connector: Connector, session: Session | None, samples: list[Sample]) -> None:
        for sample in samples:
            message = self.dialect.sampled(connector.connector_id, session, sample)
            self._update(session, message)

    def _update(self, session: Session | None, message: Message) -> None:
        """Queue what is neither a start nor a stop, unless a fault has other plans with it."""
        if session is None:
            self._queue(message, Kind.UPDATE, lambda _answer: None)
            return
        if self.faults.lose_updates:
            return
        if self.faults.reorder and session.held is None:
            session.held = message
            return
        self._queue(message, Kind.UPDATE, partial(self._heard, session))
        self._release(session)

    def _release(self, session: Session) -> None:
        if session.held:
            self._queue(session.held, Kind.UPDATE, partial(self._heard, session))
            session.held = None

    def _queue(
        self, message: Message, kind: Kind, on_answer: Callable[[Payload | None], None]
    ) -> None:
        self.queue.put(Report(message.action, message.payload, on_answer, kind))

    def _transaction_data(self, session: Session) -> list[Sample]:
        if not self.transaction_data:
            return []
        begin = Sample(session.started_at, session.meter_start_wh, 0, None, "Transaction.Begin")
        return [begin, session.last_sample()]

    def _started(self, session: Session, answer: Payload | None) -> None:
        if answer is None:
            session.status = "NotDelivered"
            self.say(session.connector_id, "the start was never accepted by the server")
        else:
            # OCPP 1.6 gives the id here; in OCPP 2.x the charger has told its own.
            session.transaction_id = answer.get("transactionId", session.transaction_id)
            meter_kwh = session.meter_start_wh / 1000
            self.say(
                session.connector_id,
                f"transaction {session.transaction_id} started at "
                f"{session.started_at:%Y-%m-%d %H:%M:%S} UTC, meter {meter_kwh:.3f} kWh",
            )
        self._heard(session, answer)
        session.answered.set()

    def _heard(self, session: Session, answer: Payload | None) -> None:
        """Heed what an answer says of the token and of the price."""
        verdict = answer and self.dialect.verdict(answer)
        if answer and "totalCost" in answer:
            self.show_cost(session, answer["totalCost"])
        if not verdict:
            return
        session.status = verdict.status
        session.group = verdict.group or session.group
        if not verdict.accepted and self.configuration.switched_on(keys.STOP_ON_INVALID):
            self.say(session.connector_id, f"the server says {session.status}: stop charging")
            if session.backdated and session.ended_at is None:
                connector = self.connectors[session.connector_id]
                self._advance(connector, session, session.started_at + DEAUTHORISED_AFTER)
            self.stop(session, "DeAuthorized")

    def show_cost(self, session: Session, cost: float) -> None:
        session.cost = cost
        self.say(session.connector_id, f"transaction {session.transaction_id} costs {cost:.2f}")

    def _stopped(self, session: Session, answer: Payload | None) -> None:
        session.delivered.set()
        assert session.ended_at is not None
        if answer and "totalCost" in answer:
            self.show_cost(session, answer["totalCost"])
        minutes = (session.ended_at - session.started_at) / timedelta(minutes=1)
        self.say(
            session.connector_id,
            f"transaction {session.transaction_id} "
            f"{'stopped' if answer is not None else 'stopped, which the server never accepted'}: "
            f"{session.energy_wh / 1000:.3f} kWh in {minutes:.1f} min ({session.reason})",
        )
