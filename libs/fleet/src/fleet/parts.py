"""What a charger is made of, for those parts that obey the server, and what they obey alike.

Commands are functions of (parts, payload), found by their action. An answer never waits, so a
command in flight holds up nothing. Work that takes time is started as a task.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fleet.authority import Authority, IdToken
from fleet.certificates import Certificates
from fleet.configuration import Configuration
from fleet.connectors import Connector, Plan, Reservation
from fleet.dialect import Dialect, Identity, Payload
from fleet.limits import Limits, Profile
from fleet.link import Address, CallError
from fleet.maintenance import Maintenance
from fleet.sessions import Sessions
from fleet.tasks import Tasks
from fleet.upkeep import Upkeep
from fleet.visits import Visits

STATION_PROFILES = {"ChargePointMaxProfile", "ChargingStationMaxProfile"}


@dataclass
class Parts:
    """`reset` gets whether it is hard; `kept` is for what a version's commands merely remember."""

    dialect: Dialect
    identity: Identity
    address: Address
    configuration: Configuration
    authority: Authority
    certificates: Certificates
    limits: Limits
    sessions: Sessions
    visits: Visits
    upkeep: Upkeep
    maintenance: Maintenance
    tasks: Tasks
    call: Callable[[str, Payload], Awaitable[Payload]]
    clock: Callable[[], datetime]
    say: Callable[[int, str], None]
    reset: Callable[[bool], Coroutine[Any, Any, None]]
    set_station_operative: Callable[[bool], None]
    operative: Callable[[], bool]
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def connectors(self) -> dict[int, Connector]:
        return self.sessions.connectors

    def send_later(self, action: str, payload: Payload) -> None:
        """Call the server after the answer to its command."""
        self.tasks.start(self.maintenance.tell(action, payload), action)

    def follow_network_profiles(self, first_url: str) -> None:
        """Connect to the server that NetworkConfigurationPriority names first (B10).

        Slot 0 is the address the charger was made with.
        """
        if "network priority" not in self.kept:
            return
        networks = [
            (slot, str(self.kept["network"][slot]["ocppCsmsUrl"]) if slot else first_url)
            for slot in map(int, self.kept["network priority"].split(","))
        ]
        (self.address.slot, self.address.url), *self.address.others = networks

    def remote_start(
        self, token: IdToken, group: str | None, connector_id: int | None, plan: Plan
    ) -> Connector | None:
        """Let somebody charge who is not there; None if no connector is free for them."""
        free = [
            connector
            for connector in self.connectors.values()
            if connector.free_for(token, group) and connector_id in {None, connector.connector_id}
        ]
        if not free:
            return None
        connector = min(free, key=lambda c: (c.vehicle is None, c.reservation is None))
        self.tasks.start(self.visits.remote_start(connector, token, plan), "remote start")
        return connector

    def remote_stop(self, transaction_id: int | str) -> str:
        session = self.sessions.find(transaction_id)
        if session is None:
            return "Rejected"

        async def stop() -> None:
            self.sessions.stop(session, "Remote")

        self.tasks.start(stop(), "remote stop")
        return "Accepted"

    def change_availability(self, connector_id: int, *, operative: bool) -> str:
        """0 is the station with all its connectors."""
        if connector_id != 0 and connector_id not in self.connectors:
            return "Rejected"
        if connector_id == 0:
            self.set_station_operative(operative)
            chosen = list(self.connectors.values())
        else:
            chosen = [self.connectors[connector_id]]
        scheduled = False
        for connector in chosen:
            if connector.session:
                connector.operative_later = operative
                scheduled = True
            else:
                if not operative:
                    self._give_up_reservation(connector)
                self.sessions.set_operative(connector, operative=operative)
        return "Scheduled" if scheduled and not operative else "Accepted"

    def reserve(self, reservation: Reservation, connector_id: int | None) -> str:
        """Keep a connector, any if None; the same id again replaces (OCPP 1.6, 5.13)."""
        if reservation.expires_at <= self.clock():
            return "Rejected"
        chosen = [c for c in self.connectors.values() if connector_id in {None, c.connector_id}]
        if not chosen:
            return "Rejected"
        self.cancel_reservation(reservation.reservation_id)
        free = [c for c in chosen if c.status == "Available"]
        if not free:
            unavailable = all(c.status == "Unavailable" for c in chosen)
            return "Unavailable" if unavailable else "Occupied"
        connector = free[0]
        connector.reservation = reservation
        self.sessions.set_status(connector, connector.idle_status)
        self.tasks.start(self._expire(connector, reservation), "reservation")
        return "Accepted"

    def cancel_reservation(self, reservation_id: int) -> bool:
        for connector in self.connectors.values():
            kept = connector.reservation
            if kept and kept.reservation_id == reservation_id:
                self._end_reservation(connector)
                return True
        return False

    async def _expire(self, connector: Connector, reservation: Reservation) -> None:
        await self.maintenance.wait_until(reservation.expires_at)
        if connector.reservation is reservation:
            self._end_reservation(connector)
            self._tell_of_reservation(reservation, "Expired")

    def _give_up_reservation(self, connector: Connector) -> None:
        """OCPP 2.0.1, H01.FR.17; in OCPP 1.6 it stands until it expires."""
        reservation = connector.reservation
        if reservation and self.dialect.knows("ReservationStatusUpdate"):
            self._end_reservation(connector)
            self._tell_of_reservation(reservation, "Removed")

    def _tell_of_reservation(self, reservation: Reservation, what: str) -> None:
        if self.dialect.knows("ReservationStatusUpdate"):
            update = {
                "reservationId": reservation.reservation_id,
                "reservationUpdateStatus": what,
            }
            self.send_later("ReservationStatusUpdate", update)

    def _end_reservation(self, connector: Connector) -> None:
        connector.reservation = None
        if connector.status == "Reserved":
            self.sessions.set_status(connector, connector.idle_status)

    def set_profile(self, connector_id: int, raw: Payload) -> bool:
        """Keep a charging profile and heed it from now on; False if it fits nothing here."""
        profile = Profile(connector_id, raw)
        if connector_id not in {0, *self.connectors}:
            return False
        if profile.purpose in STATION_PROFILES and connector_id != 0:
            return False
        if profile.purpose == "TxProfile":
            connector = self.connectors.get(connector_id)
            session = connector.session if connector else None
            if session is None or profile.transaction_id not in {None, session.transaction_id}:
                return False
        self.sessions.limits_change()
        if not self.limits.put(profile):
            return False
        self.sessions.limits_change()
        return True

    def clear_profiles(self, gone: list[Profile]) -> str:
        self.sessions.limits_change()
        return "Accepted" if self.limits.clear(gone) else "Unknown"


Command = Callable[[Parts, Payload], Payload]


def obey(parts: Parts, commands: dict[str, Command], action: str, payload: Payload) -> Payload:
    """Answer a call whose payload its schema allows. Raises CallError."""
    if action not in commands:
        if parts.dialect.knows(action):
            raise CallError("NotSupported", f"{action} is not supported")
        raise CallError("NotImplemented", f"{action} is not implemented")
    if parts.tasks.full:
        raise CallError("GenericError", "too many commands at once")
    return commands[action](parts, payload)
