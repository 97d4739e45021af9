"""What the `fleet` program is told on its command line, and the chargers made of it."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from fleet.certificates import ClientCertificate
from fleet.charger import Charger
from fleet.faults import Faults
from fleet.versions import COMMANDS

METER_EPOCH_S = 1_704_067_200  # 2024-01-01: when the simulated stations were installed
METER_W = 18_000  # so the meter of a new run stands above where a truthful earlier one left it


class BadOptions(ValueError):
    """What was asked for does not fit together; the text says why."""


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    _connection(common)
    _faults(common)
    many = argparse.ArgumentParser(add_help=False)
    many.add_argument("--station", action="append", help="a station id; may be repeated")
    many.add_argument("--stations", type=Path, help="a JSON file with a list of stations")
    many.add_argument("--time-scale", type=float, default=1, help="simulated seconds a second")
    many.add_argument("--duration", type=float, help="stop after so many seconds")
    many.add_argument("--seed", type=int, help="makes the drivers repeatable")
    many.add_argument(
        "--cut-every", type=_seconds, help="cut all connections at once, every so many seconds"
    )
    many.add_argument(
        "--away", type=_seconds, default=0, help="stay offline for so many seconds after each cut"
    )
    options = argparse.ArgumentParser(
        prog="fleet",
        description="Simulated chargers of OCPP 1.6, 2.0.1 and 2.1.",
        epilog="Faults are options of each command; fleet charge --help lists them.\n\n"
        + _fault_list(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = options.add_subparsers(dest="command", required=True)
    one = commands.add_parser("charge", parents=[common], help="one session that has just ended")
    one.add_argument("--station", required=True)
    one.add_argument("--tag", type=_tag, required=True)
    one.add_argument("--connector", type=_connector, default=1)
    one.add_argument("--kwh", type=_decimal)
    one.add_argument("--minutes", type=_decimal)
    one.add_argument(
        "--power-kw", type=_decimal, help="the charger's power; chosen to fit if unset"
    )
    one.add_argument("--offline", action="store_true", help="charge offline, deliver afterwards")
    one.add_argument("--patience", type=float, default=10, help="seconds to wait for the server")
    runner = commands.add_parser("run", parents=[common, many], help="many chargers and drivers")
    runner.add_argument("--tags", help="id tags of the drivers, comma-separated")
    runner.add_argument("--sessions", type=int, help="per connector; for ever if unset")
    runner.add_argument("--backdate", action="store_true", help="whole sessions, just ended")
    idle = commands.add_parser("idle", parents=[common, many], help="only obey the server")
    idle.set_defaults(tags="", sessions=0, backdate=False)
    return options


def charger(
    args: argparse.Namespace, station_id: str, password: str | None, **more: Any
) -> Charger:
    """Make a charger of what the options say of all of them. Raises BadOptions."""
    options: dict[str, Any] = {
        "ocpp": args.ocpp,
        "authorities": _text(args.authorities),
        "certificate": _certificate(args),
        "meter_wh": _meter_wh(args),
        "allow_offline": args.allow_offline,
        "delay_s": args.retry_delay,
        "faults": faults(args),
    }
    return Charger(args.url, station_id, password, **(options | more))


def faults(args: argparse.Namespace) -> Faults:
    return Faults(**{fault.name: getattr(args, fault.name) for fault in dataclasses.fields(Faults)})


def _connection(common: argparse.ArgumentParser) -> None:
    common.add_argument("--url", default="ws://127.0.0.1:9000/ocpp", help="without station id")
    common.add_argument("--ocpp", choices=list(COMMANDS), default="1.6", help="version of OCPP")
    common.add_argument("--password", help="for HTTP basic authentication")
    common.add_argument("--authorities", type=Path, help="PEM file of roots to trust with wss:")
    common.add_argument(
        "--certificate", type=Path, help="PEM file of the charger's own, for security profile 3"
    )
    common.add_argument("--key", type=Path, help="PEM file of that certificate's key")
    common.add_argument("--meter-wh", type=int, help="where the meters stand at first")
    common.add_argument(
        "--allow-offline", action="store_true", help="let anybody charge while offline"
    )
    common.add_argument(
        "--retry-delay",
        type=_seconds,
        default=1,
        help="seconds until an undelivered message of a session is sent again, times the tries",
    )
    common.add_argument("--verbose", action="store_true", help="log what happens, to stderr")


def _faults(common: argparse.ArgumentParser) -> None:
    group = common.add_argument_group("faults")
    kinds: dict[str, Callable[[str], Any]] = {"clock_offset_s": _offset}
    for fault in dataclasses.fields(Faults):
        name = _flag(fault.name)
        about = fault.metadata["about"].replace("%", "%%")
        if fault.default is False:
            group.add_argument(name, dest=fault.name, action="store_true", help=about)
        else:
            kind = kinds.get(fault.name, type(fault.default) if fault.default == "" else _seconds)
            if fault.name == "drop_answers":
                kind = _count
            group.add_argument(
                name, dest=fault.name, type=kind, default=fault.default, metavar="X", help=about
            )


def _fault_list() -> str:
    flags = [(_flag(fault.name), fault.metadata["about"]) for fault in dataclasses.fields(Faults)]
    return "\n".join(["faults:", *(f"  {flag:<22} {about}" for flag, about in flags)])


def _flag(name: str) -> str:
    return "--" + name.removesuffix("_s").replace("_", "-")


def _meter_wh(args: argparse.Namespace) -> int:
    if args.meter_wh is not None:
        return int(args.meter_wh)
    return max(0, int(time.time()) - METER_EPOCH_S) * METER_W // 3600


def _text(file: Path | None) -> str:
    try:
        return file.read_text() if file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadOptions(f"{file}: {error}") from None


def _certificate(args: argparse.Namespace) -> ClientCertificate | None:
    if (args.certificate is None) != (args.key is None):
        raise BadOptions("a certificate needs its key, and a key its certificate")
    if args.certificate is None:
        return None
    return ClientCertificate(_text(args.certificate), _text(args.key))


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"not a number: {text}") from None
    if not 0 < value < 100_000:
        raise argparse.ArgumentTypeError(f"out of range: {text}")
    return value


def _seconds(text: str) -> float:
    return float(_decimal(text))


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 100):
        raise argparse.ArgumentTypeError(f"not a number from 0 to 100: {text}")
    return int(text)


def _offset(text: str) -> float:
    if text == "1970":
        return -time.time()
    try:
        offset_s = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number of seconds: {text}") from None
    if not -time.time() <= offset_s < sys.maxsize // 10**9:
        raise argparse.ArgumentTypeError(f"out of range: {text}")
    return offset_s


def _connector(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 99):
        raise argparse.ArgumentTypeError(f"not a connector's number: {text}")
    return int(text)


def _tag(text: str) -> str:
    if not 1 <= len(text) <= 20:
        raise argparse.ArgumentTypeError("an id tag has 1 to 20 characters")
    return text
