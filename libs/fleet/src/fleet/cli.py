"""`fleet`: simulated chargers at the command line."""

import argparse
import asyncio
import logging
import random
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from fleet.charger import Charger
from fleet.charging import NeverEnds
from fleet.connectors import ChargeResult
from fleet.options import BadOptions, charger, parser
from fleet.roam import BadStations, Outages, Station, Traffic, operate, read_stations
from fleet.tasks import Tasks
from fleet.upkeep import NotReady
from fleet.vehicle import RAMP_MS, Vehicle

POWERS_W = (11_000, 22_000, 50_000, 150_000, 350_000)  # what stands in the street
DC_FROM_W = 50_000


class CannotCharge(Exception):
    """What was asked for is not possible; the text says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 on refusal, 130 when interrupted."""
    args = parser().parse_args(argv)
    logging.basicConfig(
        level=logging.DEBUG if args.verbose else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    commands = {"charge": charge, "run": run, "idle": run}
    try:
        asyncio.run(_stoppable(commands[args.command](args)))
    except (CannotCharge, NotReady, BadOptions, BadStations, NeverEnds) as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("fleet: stopped", file=sys.stderr)
        return 130 if args.command == "charge" else 0
    return 0


async def charge(args: argparse.Namespace) -> None:
    """Charge once, as a session that has just ended. Raises CannotCharge, NotReady."""
    duration_s = None if args.minutes is None else float(args.minutes * 60)
    energy_wh = None if args.kwh is None else int(args.kwh * 1000)
    if energy_wh is None and duration_s is None:
        energy_wh = 10_000
    power_w = args.power_kw and int(args.power_kw * 1000)
    power_w = power_w or power_for(energy_wh or 0, duration_s)
    one = charger(
        args,
        args.station,
        args.password,
        connectors=args.connector,
        power_w=power_w,
        dc=power_w >= DC_FROM_W,
        transaction_data=True,
        allow_offline=args.allow_offline or args.offline,
        on_event=_say,
    )
    async with one:
        await one.wait_ready(args.patience)
        if args.offline:
            await one.go_offline()
        try:
            async with asyncio.timeout(args.patience + 60):
                result = await one.charge(
                    args.connector,
                    args.tag,
                    energy_wh=energy_wh,
                    duration_s=duration_s,
                    vehicle=Vehicle(max(60_000, 2 * (energy_wh or 0)), max_power_w=power_w),
                    backdate=True,
                )
                if args.offline:
                    await one.go_online()
                await one.drain()
        except TimeoutError:
            raise CannotCharge("the server did not take the session in time") from None
    _sum_up(args.tag, result)


async def run(args: argparse.Namespace) -> None:
    """Run many chargers, `idle` ones without drivers. Raises BadStations."""
    stations = [Station(name, args.password) for name in args.station or []]
    if args.stations:
        stations += read_stations(args.stations)
    if not stations:
        raise BadStations("no stations: give --station or --stations")
    if args.sessions != 0 and not args.tags:
        raise BadStations("nobody to charge: give --tags")
    dice = random.Random(args.seed)  # noqa: S311 - a simulation that can be repeated
    traffic = Traffic(
        tags=[tag for tag in (args.tags or "").split(",") if tag],
        sessions=args.sessions,
        backdate=args.backdate,
        pause_s=(1, 10) if args.backdate else (30, 600),
        dice=dice,
    )
    chargers = [
        charger(
            args,
            station.station_id,
            station.password,
            ocpp=station.ocpp or args.ocpp,
            connectors=station.connectors,
            power_w=station.power_w,
            dc=station.dc,
            time_scale=args.time_scale,
            next_vehicle=traffic.vehicle,
            on_event=_say if not sys.stdout.isatty() else lambda _text: None,
        )
        for station in stations
    ]
    async with Tasks() as tasks:
        if sys.stdout.isatty():
            tasks.start(_show(chargers), "screen")
        with suppress(TimeoutError):
            async with asyncio.timeout(args.duration):
                await operate(chargers, traffic, Outages(args.cut_every, args.away))


def power_for(energy_wh: int, duration_s: float | None) -> int:
    """Choose the smallest usual charger that delivers this in time. Raises CannotCharge."""
    if duration_s is None:
        return POWERS_W[0]
    charging_s = duration_s - RAMP_MS / 1000
    for power_w in POWERS_W:
        if energy_wh * 3600 <= power_w * charging_s:
            return power_w
    raise CannotCharge(
        f"no charger delivers {energy_wh / 1000:g} kWh in {duration_s / 60:g} minutes"
    )


def _sum_up(tag: str, result: ChargeResult) -> None:
    if result.status != "Accepted":
        raise CannotCharge(f"card {tag} was refused: {result.status}")
    print(
        f"charged {result.energy_wh / 1000:.3f} kWh "
        f"from {result.started_at:%H:%M:%S} to {result.ended_at:%H:%M:%S} UTC, "
        f"transaction {result.transaction_id or 'told later'}"
    )


def _say(text: str) -> None:
    print(text, flush=True)


async def _stoppable(work: Coroutine[Any, Any, None]) -> None:
    """Let SIGTERM end the work as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await work


async def _show(chargers: list[Charger]) -> None:
    """Redraw a line for each connector twice a second."""
    drawn = 0
    while True:
        lines = [line for charger in chargers for line in charger.lines()]
        print(f"\x1b[{drawn}F" if drawn else "", end="")
        print("".join(f"\x1b[2K{line}\n" for line in lines), end="", flush=True)
        drawn = len(lines)
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
