"""Simulated chargers drive sessions against the running stack, until Ctrl-C."""

import json
import sys
import tempfile
from pathlib import Path

from fleet import cli
from local_stack import place


def main(*options: str) -> int:
    """options: more of the fleet program's, such as --duration 30."""
    demo = place.remembered()
    if "stations" not in demo:
        sys.exit("there is no demo yet; start it with: make run")
    # DEMO-1 is left to make charger.
    stations = [
        {
            "station": station["id"],
            "password": station["password"],
            "connectors": station["connectors"],
            "power_kw": station["power_w"] / 1000,
            "dc": station["power_w"] > 22_000,
            "ocpp": "2.0.1" if station["power_w"] > 22_000 else "1.6",
        }
        for station in demo["stations"][1:]
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(json.dumps(stations))
        file.flush()
        return cli.main(
            [
                "run",
                *("--url", demo["urls"]["ocpp"]),
                *("--stations", str(Path(file.name))),
                *("--tags", ",".join(demo["cards"])),
                "--backdate",
                *options,
            ]
        )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
