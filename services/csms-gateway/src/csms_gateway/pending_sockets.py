"""Stations that nobody has made: refused, held until staff decide, or let in at once.

Held ones are strangers from the open internet: few a replica, few an address, told of only when
they have booted, and answered nothing but Pending (OCPP 1.6, 4.2; 2.0.1, B02). One that was adopted
so is given its password before it is sent away to come back with it: in that state stations take
settings (2.0.1, B02.FR.01; A01).
"""

import asyncio
import http
import logging
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from prometheus_client import Gauge

from common.clock import now
from common.events import StationDiscovered
from csms_gateway import frames, password_rotation, schemas, secrets_in
from csms_gateway.admission import Refused
from csms_gateway.awaited_answers import Awaited, CallFailed, NoAnswer
from csms_gateway.charger import Call, Version
from csms_gateway.clocks import wire_time
from csms_gateway.gateway import Gateway
from csms_gateway.peers import Peer
from csms_gateway.readings import TEXT_MAX, short
from csms_gateway.seldom import Seldom
from csms_gateway.sockets import Closed, Socket

log = logging.getLogger(__name__)

# As registry takes them; anything else could never be adopted.
STATION_ID: Final = re.compile(r"[A-Za-z0-9*\-_=:+|@.]{1,48}")
HELD_AN_ADDRESS: Final = 20  # so that one address cannot take every place
CONNECTS_AN_ADDRESS: Final = 20  # a minute; a depot behind one address has some dozen chargers
TELL_EVERY_S: Final = 600.0
SILENT_S: Final = 900.0
FRAMES_MAX: Final = 1000  # of one socket; a real one boots four times a minute, and comes back
LOOK_EVERY_S: Final = 3.0
INTERVAL_S: Final = 15  # until it may boot again, so how long an adopted one waits at most
COME_BACK: Final = 1012
POLICY_VIOLATION: Final = 1008
BOOT_16: Final = ("chargePointVendor", "chargePointModel", "chargePointSerialNumber")
BOOT_2: Final = ("vendorName", "model", "serialNumber")

STRANGERS = Gauge("csms_gateway_pending_sockets", "Unknown stations held by this replica")

REFUSED_UNTIL = "select refused_until from refused_station where station_id = $1"
# In the outbox with the row, so that registry learns of it whatever happens in between. Its
# version is that of the station that registry makes of it, so nothing changes for the socket.
LET_IN = """
with made as (
    insert into station (
        station_id, operator_id, version, active, evses, credential_version, security_profile
    ) values ($1, $2, 1, true, '[{"evse_id": 1, "code": null, "max_power_w": null}]', 1, 0)
    on conflict (station_id) do nothing returning station_id
)
insert into outbox (event_id, subject, body) select $3::uuid, $4::text, $5::text from made
"""
# A station is there when its password is: what is told of both comes apart.
DECIDED = """
select station_id, hand_over from station
where station_id = any($1) and password_hash is not null
union select station_id, false from refused_station
where station_id = any($1) and refused_until > now()
"""
HANDED_OVER = "update station set hand_over = false where station_id = $1"


@dataclass(frozen=True, slots=True)
class Stranger:
    station_id: str
    address: str


@dataclass(eq=False, slots=True)
class Waiting:
    """A stranger on its socket."""

    socket: Socket
    version: Version
    stranger: Stranger
    awaited: Awaited = field(default_factory=Awaited)
    leaves: bool = False  # it was decided on


class PendingSockets:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._mode = gateway.settings.unknown_stations
        self._operator_id = gateway.settings.unknown_stations_operator_id
        self._connects = Seldom(CONNECTS_AN_ADDRESS, 60)
        self._told = Seldom(1, TELL_EVERY_S)
        self._held: set[Waiting] = set()
        STRANGERS.set_function(lambda: len(self._held))

    async def let_in(self, station_id: str, peer: Peer) -> bool:
        """Make the station at once if that is the setting. Raises Refused."""
        if self._mode != "accept" or self._operator_id is None:
            return False
        await self._require_decent(station_id, peer)
        event = StationDiscovered(
            operator_id=self._operator_id, station_id=station_id, accepted=True,
            address=peer.address,
        )  # fmt: skip
        await self._gateway.pool.execute(
            LET_IN, station_id, self._operator_id, event.id, event.subject,
            event.model_dump_json(),
        )  # fmt: skip
        # And now, the same once more: before what is told of its connection, which registry would
        # drop if it did not know the station.
        await self._gateway.publisher.event(event)
        return True

    async def hear(self, station_id: str, peer: Peer) -> Stranger:
        """Raises Refused."""
        if self._mode != "pending":
            raise Refused(http.HTTPStatus.NOT_FOUND, f"no station {station_id!r} here")
        await self._require_decent(station_id, peer)
        if self._is_full(peer.address):
            raise Refused(http.HTTPStatus.SERVICE_UNAVAILABLE, "too many unknown stations")
        return Stranger(station_id, peer.address)

    async def _require_decent(self, station_id: str, peer: Peer) -> None:
        if not STATION_ID.fullmatch(station_id) or station_id in {".", ".."}:
            raise Refused(http.HTTPStatus.NOT_FOUND, "that is no station id")
        if not self._connects.allows(peer.address, time.monotonic()):
            raise Refused(http.HTTPStatus.TOO_MANY_REQUESTS, "too many connections")
        until: datetime | None = await self._gateway.pool.fetchval(REFUSED_UNTIL, station_id)
        if until is not None and until > now():
            raise Refused(http.HTTPStatus.NOT_FOUND, f"the station {station_id!r} is refused")

    def _is_full(self, address: str) -> bool:
        same = sum(waiting.stranger.address == address for waiting in self._held)
        places = self._gateway.settings.unknown_stations_max
        return len(self._held) >= places or same >= HELD_AN_ADDRESS

    async def hold(self, socket: Socket, version: Version, stranger: Stranger) -> None:
        """Answer it until it is decided, goes, or is silent too long."""
        if self._is_full(stranger.address):
            await socket.close(POLICY_VIOLATION, "too many unknown stations")
            return
        waiting = Waiting(socket, version, stranger)
        self._held.add(waiting)
        try:
            for _ in range(FRAMES_MAX):
                text = await asyncio.wait_for(socket.receive(), SILENT_S)
                if not isinstance(text, str):
                    break
                if answer := await self._answered(waiting, text):
                    await asyncio.wait_for(socket.send(answer), SILENT_S)
            await socket.close(POLICY_VIOLATION, "not known here")
        except TimeoutError:
            await socket.close(POLICY_VIOLATION, "not known here")
        except Closed:
            pass
        finally:
            self._held.discard(waiting)
            waiting.awaited.lose_all()

    async def _answered(self, waiting: Waiting, text: str) -> str | None:
        version, stranger = waiting.version, waiting.stranger
        try:
            frame = frames.parse(frames.clean(text), version.schemas)
        except frames.BadFrame as bad:
            code = bad.code(version.schemas)
            return frames.error(bad.message_id, code, str(bad)) if code else None
        if isinstance(frame, frames.CallResult):
            waiting.awaited.settle(frame.message_id, frame.payload)
        if isinstance(frame, frames.CallError):
            failed = CallFailed(frame.code, frame.description, frame.details)
            waiting.awaited.settle(frame.message_id, failed)
        if not isinstance(frame, frames.Call):
            return None
        if frame.action != "BootNotification":
            return frames.error(frame.message_id, "SecurityError", "not known here; boot and wait")
        try:
            schemas.check_incoming(version.schemas, frame.action, frame.payload)
        except schemas.Violation as violation:
            return frames.error(frame.message_id, violation.code, str(violation))
        if self._told.allows(stranger.station_id, time.monotonic()):
            event = _discovered(self._operator_id, version, stranger, frame.payload)
            await self._gateway.publisher.event(event)
        answer = {
            "status": "Pending",
            "currentTime": wire_time(now()),
            "interval": INTERVAL_S,
        }
        return frames.result(frame.message_id, answer)

    async def watch(self) -> None:
        """Send those away that were decided; adopted, they come back and are asked who they are."""
        while True:
            if waiting := {one.stranger.station_id: one for one in self._held if not one.leaves}:
                for row in await self._gateway.pool.fetch(DECIDED, list(waiting)):
                    one = waiting[row["station_id"]]
                    one.leaves = True
                    leaving = self._leave(one, hand_over=row["hand_over"])
                    self._gateway.tasks.spawn(leaving, f"send {one.stranger.station_id} away")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _leave(self, one: Waiting, *, hand_over: bool) -> None:
        if hand_over:
            await self._hand_over(one)
        await one.socket.close(COME_BACK, "the station was decided on")

    async def _hand_over(self, one: Waiting) -> None:
        """Give it a password. Without success it needs the one that registry has shown."""
        pool, station_id = self._gateway.pool, one.stranger.station_id
        password = password_rotation.new_password()
        call = one.version.giving_password(password)
        hashed = await self._gateway.passwords.hash(password)
        await pool.execute(HANDED_OVER, station_id)
        # Before it is sent: it may use it before we have read its answer.
        await pool.execute(password_rotation.EXPECT, station_id, hashed, 1)
        try:
            answer = await self._called(one, call)
        except (CallFailed, Closed) as failed:
            why = str(failed)
        except (NoAnswer, TimeoutError):
            # It may have taken it all the same, so the password stays good.
            log.warning("%s did not answer when it was given its password", station_id)
            return
        else:
            if secrets_in.taken(call.action, answer):
                return
            why = "it did not take it"
        await pool.execute(password_rotation.FORGET, station_id, hashed)
        log.warning("%s was not given a password: %s", station_id, why)

    async def _called(self, one: Waiting, call: Call) -> dict[str, Any]:
        """Raises CallFailed, NoAnswer, TimeoutError or Closed."""
        message_id, answer = one.awaited.add(call.action)
        try:
            async with asyncio.timeout(self._gateway.settings.ocpp_call_timeout_s):
                await one.socket.send(frames.call(message_id, call.action, call.payload))
                return await answer
        finally:
            one.awaited.remove(message_id)


def _discovered(
    operator_id: UUID | None, version: Version, stranger: Stranger, boot: dict[str, Any]
) -> StationDiscovered:
    # By the version: one's names are surplus members in the other, and those can be anything.
    if version.schemas == "v16":
        words, names = boot, BOOT_16
    else:
        words, names = boot["chargingStation"], BOOT_2
    vendor, model, serial_number = (short(words.get(name)) for name in names)
    return StationDiscovered(
        operator_id=operator_id,
        station_id=stranger.station_id,
        accepted=False,
        address=stranger.address[:TEXT_MAX],
        protocol=version.name,
        vendor=vendor,
        model=model,
        serial_number=serial_number,
        firmware_version=short(words.get("firmwareVersion")),
    )
