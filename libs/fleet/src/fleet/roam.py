"""Many chargers with random drivers, for a demo that looks alive."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from fleet.charger import Charger
from fleet.tasks import Tasks
from fleet.transaction_queue import QueueFull
from fleet.upkeep import NotReady
from fleet.vehicle import Vehicle
from fleet.versions import COMMANDS

FINISH_S = 10  # for the last stops to be delivered once somebody wants to go home


class BadStations(ValueError):
    """The file of stations is not what it should be."""


@dataclass(frozen=True)
class Station:
    """One entry of a stations file: `{"station": "DEMO-1", "password": "…", "connectors": 2,
    "power_kw": 22, "dc": false, "ocpp": "2.0.1"}`, all but the first optional.
    """

    station_id: str
    password: str | None = field(default=None, repr=False)
    connectors: int = 1
    power_w: int = 11_000
    dc: bool = False
    ocpp: str | None = None

    @classmethod
    def read(cls, entry: Any) -> "Station":
        """Raises BadStations."""
        try:
            ocpp = entry.get("ocpp")
            if ocpp not in {None, *COMMANDS}:
                raise ValueError(f"no such version: {ocpp}")
            return cls(
                ocpp=ocpp,
                station_id=str(entry["station"]),
                password=entry.get("password"),
                connectors=int(entry.get("connectors", 1)),
                power_w=int(Decimal(str(entry.get("power_kw", 11))) * 1000),
                dc=bool(entry.get("dc", False)),
            )
        except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            raise BadStations(f"not a station: {entry!r} ({error!r})") from None


def read_stations(file: Path) -> list[Station]:
    """Read a JSON list of stations. Raises BadStations."""
    try:
        entries = orjson.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise BadStations(f"{file}: {error}") from None
    if not isinstance(entries, list):
        raise BadStations(f"{file}: not a list")
    return [Station.read(entry) for entry in entries]


@dataclass
class Traffic:
    """Who comes to charge. `sessions` is a number for each connector, None for ever, 0 for nobody.

    Pauses between cars are simulated seconds, wall seconds when sessions are backdated.
    """

    tags: list[str]
    sessions: int | None
    backdate: bool
    pause_s: tuple[float, float]
    dice: random.Random
    busy: set[str] = field(default_factory=set)

    def vehicle(self) -> Vehicle:
        capacity_wh = self.dice.choice([42_000, 58_000, 77_000])
        return Vehicle(capacity_wh=capacity_wh, soc=self.dice.uniform(0.1, 0.7))

    async def drive(self, charger: Charger, connector_id: int) -> None:
        """Send cars to one connector until all have been there."""
        done = 0
        while self.sessions is None or done < self.sessions:
            pause_s = self.dice.uniform(*self.pause_s)
            await asyncio.sleep(pause_s if self.backdate else pause_s / charger.time_scale)
            free_tags = [tag for tag in self.tags if tag not in self.busy]
            connector = charger.connector(connector_id)
            able = charger.online or charger.allow_offline
            if not free_tags or not able or not connector.free or connector.vehicle:
                continue
            tag = self.dice.choice(free_tags)
            self.busy.add(tag)
            try:
                await self._charge(charger, connector_id, tag)
            finally:
                self.busy.discard(tag)
            done += 1

    async def _charge(self, charger: Charger, connector_id: int, tag: str) -> None:
        with suppress(QueueFull, NotReady):
            if self.backdate:
                # A session that began before the connection did is one that happened offline. On
                # an older connection a server would rightly take its times for a slow clock's.
                await charger.go_offline()
                await charger.go_online()
            await charger.charge(
                connector_id,
                tag,
                energy_wh=self.dice.randrange(2_000, 25_000, 10),
                vehicle=self.vehicle(),
                backdate=self.backdate,
            )


@dataclass
class Outages:
    """All connections cut at once, every `every_s` seconds, and nobody back before `away_s`.

    With no time away the chargers come back at once, all of them: a reconnect storm. What happens
    while they are away is queued. Chargers in `spared` want to finish and are left alone.
    """

    every_s: float | None = None
    away_s: float = 0
    spared: set[str] = field(default_factory=set)

    async def keep_happening(self, chargers: list[Charger]) -> None:
        while self.every_s:
            await asyncio.sleep(self.every_s)
            hit = [charger for charger in chargers if charger.station_id not in self.spared]
            if not self.away_s:
                await asyncio.gather(*(charger.cut() for charger in hit))
                continue
            await asyncio.gather(*(charger.go_offline(abruptly=True) for charger in hit))
            await asyncio.sleep(self.away_s)
            await asyncio.gather(*(charger.go_online() for charger in hit), return_exceptions=True)


async def operate(
    chargers: list[Charger], traffic: Traffic, outages: Outages | None = None
) -> None:
    """Run chargers until all sessions are done; for ever if nobody comes. Cancel it to stop.

    However it ends, running sessions are stopped properly.
    """
    outages = outages or Outages()
    async with Tasks() as tasks:
        runs = [
            tasks.start(_run(charger, traffic, outages), charger.station_id) for charger in chargers
        ]
        tasks.start(outages.keep_happening(chargers), "outages")
        try:
            await asyncio.wait(runs)
        except asyncio.CancelledError:
            for run in runs:
                run.cancel()
            await asyncio.wait(runs, timeout=FINISH_S + 5)
            raise


async def _run(charger: Charger, traffic: Traffic, outages: Outages) -> None:
    async with charger, Tasks() as tasks:
        try:
            if traffic.sessions == 0:
                await asyncio.Event().wait()
            drives = [
                tasks.start(traffic.drive(charger, n + 1), f"{charger.station_id}/{n + 1}")
                for n in range(charger.connectors)
            ]
            await asyncio.wait(drives)
            outages.spared.add(charger.station_id)
            with suppress(NotReady):  # whoever is away comes back to tell of the last sessions
                await charger.go_online()
        finally:
            with suppress(TimeoutError):
                await charger.finish(FINISH_S if charger.online else 0)
