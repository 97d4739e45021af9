"""What a charger has in its hands: connectors, and the sessions on them."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime

from fleet.authority import IdToken
from fleet.charging import Charging, Register, Sample
from fleet.dialect import Message, Payload, TransactionId
from fleet.vehicle import MJ_PER_WH, Vehicle


@dataclass(frozen=True)
class ChargeResult:
    """What became of a session.

    `status` is OCPP's AuthorizationStatus, "Offline" when nobody could be asked, or "NotDelivered"
    when the server never accepted the start. `transaction_id` is None if no session was started,
    or, in OCPP 1.6, while that of an offline charger waits for delivery.
    """

    transaction_id: TransactionId | None
    meter_start_wh: int
    meter_stop_wh: int
    started_at: datetime
    ended_at: datetime
    status: str

    @property
    def energy_wh(self) -> int:
        return self.meter_stop_wh - self.meter_start_wh


@dataclass(frozen=True)
class Plan:
    """What a session is meant to be, and how it came about. Times are the charger's."""

    energy_wh: int | None = None
    duration_s: float | None = None
    until_idle: bool = False
    started_at: datetime | None = None
    """In the past for a backdated session, which is then generated at once."""
    remote_start_id: int | None = None
    reservation_id: int | None = None
    profile: Payload | None = None
    """A charging profile that counts for this session alone."""

    def starting(self, at: datetime) -> "Plan":
        return replace(self, started_at=at)


@dataclass(eq=False)
class Session:
    """A car charging. In OCPP 1.6 `transaction_id` is None until the server has answered the start.

    `status` is the server's word on the token, `state` what OCPP 1.6 calls the connector's status
    while it charges. `delivered` is set when the stop has been answered. `held` is a message that a
    fault keeps back. `cost` is in the server's currency, as last told;
    `tariff` is the one the server gave this session.
    """

    connector_id: int
    token: IdToken
    charging: Charging
    plan: Plan
    transaction_id: TransactionId | None
    meter_start_wh: int = field(init=False)
    group: str | None = None
    status: str = "Accepted"
    state: str = "Charging"
    seq_no: int = 0
    cost: float | None = None
    tariff: Payload | None = None
    reason: str | None = None
    meter_stop_wh: int | None = None
    ended_at: datetime | None = None
    held: Message | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    delivered: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.meter_start_wh = self.charging.register.wh

    @property
    def backdated(self) -> bool:
        return self.plan.started_at is not None

    @property
    def started_at(self) -> datetime:
        return self.charging.started_at

    @property
    def energy_wh(self) -> int:
        """Watt-hours so far, or in all once it has ended."""
        now_wh = self.charging.register.wh if self.meter_stop_wh is None else self.meter_stop_wh
        return now_wh - self.meter_start_wh

    def last_sample(self) -> Sample:
        return replace(self.charging.sample("Transaction.End"), power_w=0)

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


@dataclass(frozen=True)
class Reservation:
    """A connector kept for a token, or for any of its group."""

    reservation_id: int
    token: IdToken
    group: str | None
    expires_at: datetime

    def admits(self, token: IdToken, group: str | None) -> bool:
        return self.token.same(token) or (self.group is not None and self.group == group)


@dataclass(eq=False)
class Connector:
    """One socket of the charger. `waiting` is a card that was accepted and waits for a car."""

    connector_id: int
    register: Register
    status: str = "Available"
    status_at: datetime | None = None
    vehicle: Vehicle | None = None
    session: Session | None = None
    operative: bool = True
    operative_later: bool | None = None
    waiting: tuple[IdToken, Plan] | None = None
    reservation: Reservation | None = None

    @property
    def free(self) -> bool:
        return self.session is None and self.operative

    def free_for(self, token: IdToken, group: str | None = None) -> bool:
        return self.free and (self.reservation is None or self.reservation.admits(token, group))

    @property
    def idle_status(self) -> str:
        """What it is while nothing charges and nobody has held a card to it."""
        if not self.operative:
            return "Unavailable"
        if self.vehicle:
            return "Preparing"
        return "Reserved" if self.reservation else "Available"

    def line(self) -> str:
        """Describe it for people."""
        about = f"{self.connector_id}: {self.status:<12} {self.register.wh / 1000:>12.3f} kWh"
        if self.session is None:
            return about
        charging = self.session.charging
        soc = charging.vehicle.soc_after(charging.taken_mj)
        cost = "" if self.session.cost is None else f", costs {self.session.cost:.2f}"
        return (
            f"{about}  {self.session.token} took {self.session.energy_wh / 1000:.3f} kWh, "
            f"{charging.power_w / 1000:.1f} kW, battery {soc:.0%}{cost}"
        )


def connectors_with(count: int, meter_wh: int) -> dict[int, Connector]:
    """Make the connectors 1 to `count`, their meters at `meter_wh`."""
    return {n: Connector(n, Register(meter_wh * MJ_PER_WH)) for n in range(1, count + 1)}
