"""A simulated charger of the demo charges once: python -m local_stack.charger --tag 04A2B3C4

More options are those of `fleet charge`: a version of OCPP, faults.
"""

import sys

from fleet import cli
from local_stack import place


def main(*options: str) -> int:
    demo = place.remembered()
    if "stations" not in demo:
        sys.exit("there is no demo yet; start it with: make run")
    station = demo["stations"][0]
    return cli.main(
        [
            "charge",
            *("--url", demo["urls"]["ocpp"]),
            *("--station", station["id"]),
            *("--password", station["password"]),
            *("--tag", demo["cards"][0]),
            *("--kwh", "12.5", "--minutes", "40"),
            *options,
        ]
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
