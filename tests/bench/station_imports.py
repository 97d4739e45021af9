"""python -m bench.station_imports: 5,000 stations with 10,000 EVSEs from one file.

By the real routes, to new ones, to the same ones again, and to change every one.

CPU is registry's and PostgreSQL's; the machine's other processes come on top.
"""

import asyncio
import os

import httpx
from suite import Suite, running_suite

from bench.imports import taken

STATIONS = 5_000
LOCATIONS = 1_000
SECONDS_MAX = 60.0  # dry run and import together
HEADER = (
    "station_id;name;location;street;postal_code;city;country;latitude;longitude;evse;evse_code;"
    "max_power_kw;phases;connector"
)


def file(power_kw: int) -> bytes:
    """Of each location five stations, of each station two EVSEs."""
    lines = [HEADER]
    for number in range(STATIONS):
        place = number % LOCATIONS
        where = f"Platz {place};Straße {place};10115;Berlin;DE;52,{500_000 + place};13,4"
        lines += [
            f"B-{number};Station {number};{where};{evse};DE*BIG*E{number}*{evse};{power_kw};3;Typ 2"
            for evse in (1, 2)
        ]
    return "\n".join(lines).encode("cp1252")


async def imported(suite: Suite, api: httpx.AsyncClient, data: bytes, what: str) -> float:
    """The seconds of both steps together."""
    kind = {"Content-Type": "text/csv"}
    with taken(suite, "registry") as shown:
        answer = await api.post("/v1/station-imports/preview", content=data, headers=kind)
    assert answer.status_code == 200, answer.text
    counts = answer.json()["counts"]
    assert counts["faults"] == 0, answer.text
    with taken(suite, "registry") as done:
        answer = await api.post("/v1/station-imports", content=data, headers=kind)
    assert answer.status_code == 200, answer.text
    print(f"{what + ': dry run':40} {shown}", flush=True)
    print(f"{what + ': import':40} {done}", flush=True)
    return shown.wall_s + done.wall_s


async def main() -> None:
    async with running_suite() as suite:
        headers = {"Authorization": f"Bearer {await suite.token()}"}
        url = suite.urls["registry"]
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=600) as api:
            print(f"{os.cpu_count()} cores; {STATIONS} stations at {LOCATIONS} locations")
            print(f"{'':40} {'seconds':>8} {'registry s':>10} {'PostgreSQL s':>12}")
            total = await imported(suite, api, file(22), "all new")
            await imported(suite, api, file(22), "nothing new")
            await imported(suite, api, file(11), "every EVSE changed")
            assert total <= SECONDS_MAX, f"{total:.1f} s; more than {SECONDS_MAX} s"


if __name__ == "__main__":
    asyncio.run(main())
