"""make soak: does the gateway's memory stay flat while chargers come, charge and go?

Twenty minutes by default; python -m bench.soak SECONDS for another time.
"""

import asyncio
import sys
import time

from suite import running_suite

from bench import load
from bench.__main__ import make_stations, wait_known

SOAK_S = 20 * 60
STATIONS = 40
SAMPLE_EVERY_S = 10
WARM_UP = 0.25  # of the time: caches fill
GROWTH_MAX = 0.05


async def main(soak_s: float) -> None:
    async with running_suite() as suite:
        stations = await make_stations(suite, STATIONS)
        await wait_known(stations[-1])
        card = suite.demo["cards"][0]
        until = time.monotonic() + soak_s
        sessions = 0

        async def come_and_go(station: load.Station, number: int) -> None:
            nonlocal sessions
            newer = number % 2
            while time.monotonic() < until:
                async with station.connect("ocpp2.0.1" if newer else "ocpp1.6") as socket:
                    session = load.whole_session_201 if newer else load.whole_session
                    for _ in range(10):
                        await session(load.Wire(socket), card)
                        sessions += 1

        memory: list[int] = []
        async with asyncio.TaskGroup() as group:
            for number, station in enumerate(stations):
                group.create_task(come_and_go(station, number))
            pid = suite.processes["csms-gateway"].pid
            while time.monotonic() < until:
                await asyncio.sleep(SAMPLE_EVERY_S)
                memory.append(load.memory_bytes(pid))
        warm = memory[int(len(memory) * WARM_UP) :]
        third = max(len(warm) // 3, 1)
        early, late = sum(warm[:third]) / third, sum(warm[-third:]) / third
        print(
            f"{sessions} sessions in {soak_s:.0f} s: {early / 2**20:.1f} MiB after warming up, "
            f"{late / 2**20:.1f} MiB at the end ({late / early - 1:+.1%}), "
            f"{max(memory) / 2**20:.1f} MiB at most"
        )
        assert late < early * (1 + GROWTH_MAX), "the gateway's memory grows"


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else SOAK_S))
