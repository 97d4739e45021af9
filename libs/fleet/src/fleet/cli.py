"""`fleet`: simulated chargers at the command line."""

import argparse
import asyncio
import logging
import random
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from fleet.charger import Charger
from fleet.charging import NeverEnds
from fleet.connectors import ChargeResult
from fleet.roam import BadStations, Station, Traffic, operate, read_stations
from fleet.tasks import Tasks
from fleet.upkeep import NotReady
from fleet.vehicle import RAMP_MS, Vehicle

POWERS_W = (11_000, 22_000, 50_000, 150_000, 350_000)  # what stands in the street
DC_FROM_W = 50_000
METER_EPOCH_S = 1_704_067_200  # 2024-01-01: when the simulated stations were installed
METER_W = 18_000  # so the meter of a new run stands above where a truthful earlier one left it


class CannotCharge(Exception):
    """What was asked for is not possible; the text says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 on refusal, 130 when interrupted."""
    args = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.DEBUG if args.verbose else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    commands = {"charge": charge, "run": run, "idle": run}
    try:
        asyncio.run(_stoppable(commands[args.command](args)))
    except (CannotCharge, NotReady, BadStations, NeverEnds) as error:
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
    charger = Charger(
        args.url,
        args.station,
        args.password,
        connectors=args.connector,
        power_w=power_w,
        dc=power_w >= DC_FROM_W,
        meter_wh=_meter_wh(args),
        transaction_data=True,
        on_event=_say,
    )
    async with charger:
        await charger.wait_ready(args.patience)
        try:
            async with asyncio.timeout(args.patience + 60):
                result = await charger.charge(
                    args.connector,
                    args.tag,
                    energy_wh=energy_wh,
                    duration_s=duration_s,
                    vehicle=Vehicle(max(60_000, 2 * (energy_wh or 0)), max_power_w=power_w),
                    backdate=True,
                )
                await charger.drain()
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
        Charger(
            args.url,
            station.station_id,
            station.password,
            connectors=station.connectors,
            power_w=station.power_w,
            dc=station.dc,
            meter_wh=_meter_wh(args),
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
                await operate(chargers, traffic)


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
    if result.transaction_id is None or result.status != "Accepted":
        raise CannotCharge(f"card {tag} was refused: {result.status}")
    print(
        f"charged {result.energy_wh / 1000:.3f} kWh "
        f"from {result.started_at:%H:%M:%S} to {result.ended_at:%H:%M:%S} UTC, "
        f"transaction {result.transaction_id}"
    )


def _say(text: str) -> None:
    print(text, flush=True)


def _meter_wh(args: argparse.Namespace) -> int:
    if args.meter_wh is not None:
        return int(args.meter_wh)
    return max(0, int(time.time()) - METER_EPOCH_S) * METER_W // 3600


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


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"not a number: {text}") from None
    if not 0 < value < 100_000:
        raise argparse.ArgumentTypeError(f"out of range: {text}")
    return value


def _connector(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 99):
        raise argparse.ArgumentTypeError(f"not a connector's number: {text}")
    return int(text)


def _tag(text: str) -> str:
    if not 1 <= len(text) <= 20:
        raise argparse.ArgumentTypeError("an id tag has 1 to 20 characters")
    return text


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--url", default="ws://127.0.0.1:9000/ocpp", help="without station id")
    common.add_argument("--password", help="for HTTP basic authentication")
    common.add_argument("--meter-wh", type=int, help="where the meters stand at first")
    common.add_argument("--verbose", action="store_true", help="log what happens, to stderr")
    many = argparse.ArgumentParser(add_help=False)
    many.add_argument("--station", action="append", help="a station id; may be repeated")
    many.add_argument("--stations", type=Path, help="a JSON file with a list of stations")
    many.add_argument("--time-scale", type=float, default=1, help="simulated seconds a second")
    many.add_argument("--duration", type=float, help="stop after so many seconds")
    many.add_argument("--seed", type=int, help="makes the drivers repeatable")
    parser = argparse.ArgumentParser(prog="fleet", description="Simulated OCPP 1.6 chargers.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("charge", parents=[common], help="one session that has just ended")
    one.add_argument("--station", required=True)
    one.add_argument("--tag", type=_tag, required=True)
    one.add_argument("--connector", type=_connector, default=1)
    one.add_argument("--kwh", type=_decimal)
    one.add_argument("--minutes", type=_decimal)
    one.add_argument(
        "--power-kw", type=_decimal, help="the charger's power; chosen to fit if unset"
    )
    one.add_argument("--patience", type=float, default=10, help="seconds to wait for the server")
    runner = commands.add_parser("run", parents=[common, many], help="many chargers and drivers")
    runner.add_argument("--tags", help="id tags of the drivers, comma-separated")
    runner.add_argument("--sessions", type=int, help="per connector; for ever if unset")
    runner.add_argument("--backdate", action="store_true", help="whole sessions, just ended")
    idle = commands.add_parser("idle", parents=[common, many], help="only obey the server")
    idle.set_defaults(tags="", sessions=0, backdate=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())
