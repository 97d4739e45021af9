"""make load: many sockets, a steady stream and a reconnect storm, on this machine's two cores.

Load generator, gateway, identity, registry, PostgreSQL and NATS share them. Everything goes to
127.0.0.1 and ends by itself.
"""

import asyncio
import resource
import statistics
import time

from suite import running_suite

from bench import load, many
from common.clock import now

STORM = 10_000
STORM_S_MAX = 30.0
SOCKETS = 19_000  # a process may have 20,000 file descriptors here
TALKING = 2_000
A_SECOND = 2_000
STEADY_S = 20.0


def sockets_possible() -> int:
    return min(SOCKETS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1000)


async def main() -> None:
    async with running_suite() as suite:
        # What is measured shares the cores with PostgreSQL and NATS, and with registry, whose rows
        # say that a storm is over.
        for name in ("billing", "reporting"):
            suite.processes[name].terminate()
        pid = suite.processes["csms-gateway"].pid
        # Before all else, or what earlier sockets left behind is counted as free.
        fleet = many.Fleet(suite, "HELD", sockets_possible())
        await hold(fleet, pid)
        await storm(fleet, pid)
        fleet.cut_all()
        await steady(many.Fleet(suite, "TALK", TALKING), pid)


async def steady(fleet: many.Fleet, pid: int) -> None:
    await fleet.make()
    await fleet.connect_all()
    with load.measured(pid, int(A_SECOND * STEADY_S)) as cost:
        taken = sorted(await many.answer_times(fleet, A_SECOND, STEADY_S))
    p50, p99 = statistics.median(taken), taken[int(len(taken) * 0.99)]
    print(
        f"{A_SECOND} messages a second from {TALKING} sockets for {STEADY_S:.0f} s: "
        f"answered in {p50 * 1000:.1f} ms (p50), {p99 * 1000:.1f} ms (p99), "
        f"{taken[-1] * 1000:.0f} ms at most; {cost.cpu_us:.0f} µs gateway CPU a message"
    )
    fleet.cut_all()


async def hold(fleet: many.Fleet, pid: int) -> None:
    await fleet.make()
    before = load.memory_bytes(pid)
    began = time.perf_counter()
    await fleet.connect_all()
    took = time.perf_counter() - began
    await asyncio.sleep(3)
    kib = (load.memory_bytes(pid) - before) / len(fleet.wires) / 1024
    print(
        f"{len(fleet.wires)} idle sockets: {kib:.1f} KiB each in the gateway; "
        f"{len(fleet.failures)} failures; connected in {took:.0f} s"
    )
    assert not fleet.failures, fleet.failures[:3]


async def storm(fleet: many.Fleet, pid: int) -> None:
    fleet.cut_all()
    fleet.ids = fleet.ids[:STORM]
    await fleet.connect_all()
    await asyncio.sleep(2)
    began, since, cpu = time.perf_counter(), now(), load.cpu_s(pid)
    fleet.cut_all()
    await fleet.connect_all(many.boot_and_status)
    answered = time.perf_counter() - began
    assert not fleet.failures, (len(fleet.failures), fleet.failures[:3])
    while (stored := await fleet.stored_statuses(since)) < len(fleet.ids):
        await asyncio.sleep(0.2)
        assert time.perf_counter() - began < 4 * STORM_S_MAX, f"{stored} stored"
    took = time.perf_counter() - began
    cpu = load.cpu_s(pid) - cpu
    print(
        f"{len(fleet.ids)} stations cut at once: all booted and answered after {answered:.1f} s, "
        f"all statuses stored after {took:.1f} s; {len(fleet.failures)} failures; "
        f"{cpu / len(fleet.ids) * 1e6:.0f} µs gateway CPU a station"
    )
    assert not fleet.failures, fleet.failures[:3]


if __name__ == "__main__":
    asyncio.run(main())
