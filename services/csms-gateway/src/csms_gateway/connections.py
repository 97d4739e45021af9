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
from common.database import Db
from common.events import ConnectionReport, ConnectionsReported
from common.problems import NotFound
from csms_gateway import tables
from csms_gateway.charger import Admitted, Charger
from csms_gateway.gateway import Gateway

log = logging.getLogger(__name__)

CLOSE_RETRY_S = 2.0
DRAIN_S = 10.0
CHANGED = 1012  # service restart: come back
REPLACED = 1008  # policy violation: the station has opened a newer socket

# The row decides: of two sockets the one that wrote it last is the newer. It also says which
# replica holds a station, so it is the routing table of commands.
OPEN = """
with older as (select replica from connection where station_id = $1 for update),
proved as (
    -- A station that has proved more never goes back (OCPP 2.0.1, A05.FR.07).
    update station set security_profile = greatest(security_profile, $6),
        last_certificate = coalesce($7, last_certificate)
    where station_id = $1 and (security_profile < $6 or $7::jsonb is not null)
)
insert into connection as c (
    station_id, operator_id, generation, replica, protocol, connected_at, closed_at,
    security_profile
) values ($1, $2, 1, $3, $4, $5, null, $6)
on conflict (station_id) do update set
    operator_id = $2, generation = c.generation + 1, replica = $3, protocol = $4,
    connected_at = $5, closed_at = null, security_profile = $6
returning generation, (select replica from older) as older
"""
CLOSE = """
update connection set closed_at = $3
where station_id = $1 and generation = $2 and closed_at is null
"""
HOLDER = "select replica from connection where station_id = $1 and closed_at is null"
KNOWN = """
select s.station_id, s.version, s.credential_version, s.security_profile, c.generation
from station s join connection c using (station_id) where s.station_id = any($1)
"""

StationPath = Annotated[str, Path(max_length=48, description="the station's OCPP id")]


def subject(replica: UUID) -> str:
    """What one replica listens to: notices about the stations that it holds."""
    return f"csms.gateway_replica.{replica.hex}"


def _outdated(station: Admitted, row: asyncpg.Record) -> bool:
    known = (row["version"], row["credential_version"])
    return station.versions != known or station.security_profile < row["security_profile"]


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
        if row["older"] not in (None, self.gateway.replica):
            await self._tell(row["older"], {"station_id": station_id, "generation": generation})
        return generation

    async def serve(self, charger: Charger) -> None:
        """Hold a charger's socket until it closes."""
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
        service. Those that still may, come back at once and are looked up anew. Also those with a
        newer socket elsewhere, of which the notice was lost.
        """
        held = self.all()
        rows = await self.gateway.pool.fetch(KNOWN, [one.station_id for one in held])
        known = {row["station_id"]: row for row in rows}
        for charger in held:
            row = known.get(charger.station_id)
            if row and row["generation"] > charger.generation:
                self._replace(charger)
            elif not row or _outdated(charger.station, row):
                self._close(charger, CHANGED, "the station was changed; connect again")

    async def drained(self) -> None:
        """Wait until every closed socket is written down, or DRAIN_S."""
        if self._closing:
            await asyncio.wait(self._closing, timeout=DRAIN_S)

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
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
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
