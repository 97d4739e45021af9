"""Which socket is a station's: generations, takeover, and what the others are told (R4)."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import orjson
from fastapi import APIRouter, Path
from nats.aio.msg import Msg
from pydantic import BaseModel, ConfigDict, Field

from common.auth import scoped
from common.clock import now
from common.database import STATEMENT_FAILED, Db
from common.events import ConnectionReport, ConnectionsReported
from common.problems import NotFound
from csms_gateway import tables
from csms_gateway.admitted import Admitted
from csms_gateway.charger import Charger
from csms_gateway.gateway import Gateway
from csms_gateway.publishing import Overloaded

log = logging.getLogger(__name__)

CLOSE_RETRY_S = 2.0
NOTICES_MAX = 10_000  # of stations that are not here; the sweep finds what is not remembered
DRAIN_S = 10.0
# Of a drain: most of the time to close sockets in, PORTION_S apart, but no slower than PACE a
# second, for a few need not wait.
CLOSING_PART = 0.6
PORTION_S = 0.1
PACE = 200
LATE_S = 1.0  # between looks for chargers that take nothing
CHANGED = 1012  # service restart: come back
STOPPING = "the gateway stops; connect again"
REPLACED = 1008  # policy violation: the station has opened a newer socket

# The row decides: of two sockets the one that wrote it last is the newer. It also says which
# replica holds a station, so it is the routing table of commands.
# The older row is read by what is inserted: read only for the answer, it would be read after the
# update, and FOR UPDATE skips what its own statement has changed.
OPEN = """
with older as materialized (select replica from connection where station_id = $1 for update),
proved as (
    -- A station that has proved more never goes back (OCPP 2.0.1, A05.FR.07).
    update station set security_profile = greatest(security_profile, $6),
        last_certificate = coalesce($7, last_certificate)
    where station_id = $1 and (security_profile < $6 or $7::jsonb is not null)
)
insert into connection as c (
    station_id, operator_id, generation, replica, protocol, connected_at, closed_at,
    security_profile
) select $1, $2, 1, $3, $4, $5, null, $6 from (values (1)) as one left join older on true
on conflict (station_id) do update set
    operator_id = $2, generation = c.generation + 1, replica = $3, protocol = $4,
    connected_at = $5, closed_at = null, security_profile = $6
returning generation, (select replica from older) as older, exists (
    select from command where station_id = $1 and state = 'queued'
) as asked_for
"""
CLOSE = """
update connection set closed_at = $3
where station_id = $1 and generation = $2 and closed_at is null
"""
HOLDER = "select replica from connection where station_id = $1 and closed_at is null"
KNOWN = """
select s.station_id, s.version, s.credential_version, s.security_profile, c.generation,
    c.closed_at, c.security_profile = 3 and exists (
        select from issued_certificate i where i.operator_id = s.operator_id
        and i.not_after = (s.last_certificate->>'not_after')::timestamptz
        and i.fingerprint = s.last_certificate->>'fingerprint' and i.revoked_at is not null
    ) as revoked
from station s join connection c using (station_id) where s.station_id = any($1)
"""
# We were taken for dead (a long pause, an outage) and our sockets for closed.
REOPEN = """
update connection set generation = generation + 1, closed_at = null
where station_id = $1 and generation = $2 and replica = $3 and closed_at is not null
returning generation
"""

StationPath = Annotated[str, Path(max_length=48, description="the station's OCPP id")]


def subject(replica: UUID) -> str:
    """What one replica listens to: notices about the stations that it holds."""
    return f"csms.gateway_replica.{replica.hex}"


def _outdated(station: Admitted, row: asyncpg.Record) -> bool:
    known = (row["version"], row["credential_version"])
    too_low = station.security_profile < row["security_profile"]
    return station.versions != known or too_low or bool(row["revoked"])


def _changed(charger: Charger, *, connected: bool) -> ConnectionReport:
    return ConnectionReport(
        operator_id=charger.operator_id,
        station_id=charger.station_id,
        generation=charger.generation,
        replica=charger.gateway.replica,
        connected=connected,
        protocol=charger.version.name,
        at=now(),
    )


class Held:
    """The sockets this replica holds, one a station."""

    def __init__(self, gateway: Gateway, on_notice: Callable[[Charger], None]) -> None:
        self.gateway = gateway
        self._on_notice = on_notice
        self._chargers: dict[str, Charger] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._asked_for: set[str] = set()  # stations that a command waits for, by what was heard
        self.on_drain: list[Callable[[], None]] = []  # the listener's: take no more

    def get(self, station_id: str) -> Charger | None:
        return self._chargers.get(station_id)

    def __len__(self) -> int:
        return len(self._chargers)

    def all(self) -> list[Charger]:
        return list(self._chargers.values())

    async def listen(self) -> None:
        await self.gateway.parts.nats.subscribe(subject(self.gateway.replica), cb=self._noticed)

    async def notify(self, station_id: str) -> None:
        """Tell whoever holds the station that a command waits; if nobody does, it waits there."""
        holder = await self.gateway.pool.fetchval(HOLDER, station_id)
        if holder is not None:
            await self._tell(holder, {"station_id": station_id})

    async def _tell(self, replica: UUID, notice: dict[str, Any]) -> None:
        await self.gateway.parts.nats.publish(subject(replica), orjson.dumps(notice))

    async def _noticed(self, message: Msg) -> None:
        notice = orjson.loads(message.data)
        charger = self._chargers.get(notice["station_id"])
        if charger is None:
            # Perhaps on its way in: looked up before the command was there, not yet held.
            if len(self._asked_for) < NOTICES_MAX:
                self._asked_for.add(notice["station_id"])
            return
        newer = notice.get("generation")
        if newer is None:
            self._on_notice(charger)
        elif newer > charger.generation:
            self._replace(charger)

    async def open_generation(self, station: Admitted, protocol: str, at: datetime) -> int:
        """Write down that a station is here now, and tell the replica where it was."""
        station_id = station.station_id
        certificate = orjson.dumps(station.certificate).decode() if station.certificate else None
        row = await self.gateway.pool.fetchrow(
            OPEN, station_id, station.operator_id, self.gateway.replica, protocol, at,
            station.security_profile, certificate,
        )  # fmt: skip
        assert row is not None
        generation: int = row["generation"]
        if row["asked_for"]:
            self._asked_for.add(station_id)
        if row["older"] not in (None, self.gateway.replica):
            await self._tell(row["older"], {"station_id": station_id, "generation": generation})
        return generation

    async def serve(self, charger: Charger) -> None:
        """Hold a charger's socket until it closes."""
        if self.gateway.draining:
            await charger.close(CHANGED, STOPPING)
            return
        older = self._chargers.get(charger.station_id)
        if older and older.generation > charger.generation:
            await charger.close(REPLACED, "replaced by a newer connection")
            return
        self._chargers[charger.station_id] = charger
        if older:
            self._replace(older)
        try:
            await self.gateway.publisher.report(
                ConnectionsReported, _changed(charger, connected=True)
            )
            if charger.station_id in self._asked_for:
                self._asked_for.discard(charger.station_id)
                self._on_notice(charger)
            await charger.serve()
        finally:
            if self._chargers.get(charger.station_id) is charger:
                del self._chargers[charger.station_id]
            closed = self.gateway.tasks.spawn(self._closed(charger), f"close {charger.station_id}")
            self._closing.add(closed)
            closed.add_done_callback(self._closing.discard)

    async def close_changed(self) -> None:
        """Close the sockets of stations that were changed since: a new password, new EVSEs, out of
        service, a certificate revoked. Those that still may, come back at once and are looked up
        anew. Also those with a newer socket elsewhere, of which the notice was lost.
        """
        held = self.all()
        rows = await self.gateway.pool.fetch(KNOWN, [one.station_id for one in held])
        known = {row["station_id"]: row for row in rows}
        for charger in held:
            row = known.get(charger.station_id)
            if row and row["generation"] > charger.generation:
                self._replace(charger)
            elif row and row["closed_at"] and self.get(charger.station_id) is charger:
                await self._reopen(charger)
            elif not row or _outdated(charger.station, row):
                self._close(charger, CHANGED, "the station was changed; connect again")

    async def _reopen(self, charger: Charger) -> None:
        generation = await self.gateway.pool.fetchval(
            REOPEN, charger.station_id, charger.generation, self.gateway.replica
        )
        if generation is not None:
            log.warning("%s was taken for gone and is here", charger.station_id)
            charger.generation = generation
            await self.gateway.publisher.report(
                ConnectionsReported, _changed(charger, connected=True)
            )

    async def drop_slow(self) -> None:
        """Drop the chargers that take nothing of what we send."""
        while True:
            for charger in self.all():
                if charger.takes_nothing():
                    charger.abort("slow reader")
            await asyncio.sleep(LATE_S)

    async def drain(self) -> None:
        """Stop: take no more chargers, send the others away bit by bit, let each finish what is in
        work. Within ocpp_drain_s and a little; who has not gone by then is cut off.
        """
        gateway = self.gateway
        if gateway.draining:
            return
        gateway.draining = True
        for stop_accepting in self.on_drain:
            stop_accepting()
        limit_s = gateway.settings.ocpp_drain_s
        chargers = self.all()
        portion = max(len(chargers) / (limit_s * CLOSING_PART) * PORTION_S, PACE * PORTION_S)
        leaving = set()
        try:
            async with asyncio.timeout(limit_s):
                for count, charger in enumerate(chargers, 1):
                    leave = charger.finish(CHANGED, STOPPING)
                    leaving.add(gateway.tasks.spawn(leave, f"drain {charger.station_id}"))
                    if count % int(portion) == 0:
                        await asyncio.sleep(PORTION_S)
                if leaving:
                    await asyncio.wait(leaving)
                if gateway.deliveries:
                    await asyncio.wait(gateway.deliveries)
        except TimeoutError:
            log.warning("%d chargers did not go in time", len(self))
        for charger in self.all():
            charger.abort("drain")

    async def drained(self) -> None:
        """Wait until every closed socket, and what came of its command, is written down."""
        last = self._closing | self.gateway.deliveries
        if last:
            await asyncio.wait(last, timeout=DRAIN_S)

    def _replace(self, charger: Charger) -> None:
        self._close(charger, REPLACED, "replaced by a newer connection")

    def _close(self, charger: Charger, code: int, reason: str) -> None:
        # Closing waits for the peer, which may be gone; nobody else must wait for that.
        self.gateway.tasks.spawn(charger.close(code, reason), f"close {charger.station_id}")

    async def _closed(self, charger: Charger) -> None:
        """Write down that a socket closed; a newer generation makes this a no-op."""
        at = now()
        while True:
            try:
                await self.gateway.pool.execute(CLOSE, charger.station_id, charger.generation, at)
                await self.gateway.publisher.report(
                    ConnectionsReported, _changed(charger, connected=False)
                )
            except (*STATEMENT_FAILED, Overloaded) as error:
                if self.gateway.pool.is_closing():
                    return
                log.warning("the end of a connection is not stored yet: %s", error)
                await asyncio.sleep(CLOSE_RETRY_S)
            else:
                return


router = APIRouter(tags=["connections"])


class ConnectionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    station_id: str
    generation: int = Field(description="grows with each connection of the station")
    protocol: str
    connected_at: datetime
    closed_at: datetime | None = Field(description="null while the socket is open")
    security_profile: int = Field(description="that this connection uses, as OCPP numbers them")


@router.get(
    "/v1/stations/{station_id}/connection",
    summary="The newest connection of a station",
    dependencies=[scoped("status:read")],
)
async def get_connection(station_id: StationPath, db: Db) -> ConnectionOut:
    row = await db.get(tables.Connection, station_id)
    if row is None:
        raise NotFound(f"station {station_id!r} has never connected")
    return ConnectionOut.model_validate(row)
