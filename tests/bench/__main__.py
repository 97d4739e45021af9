"""make bench: figures of this machine, ours and a bare ocpp-library server's in the same run.

CPU is that of the one server process that holds the sockets, not of PostgreSQL, NATS or the load.
The bare server validates and answers; it stores nothing. Ours has stored before it answers.
"""

import asyncio
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from suite import Suite, running_suite

from bench import load
from local_stack.servers import free_port

ROUNDS = 5
STATIONS = 48  # sockets that talk at once
MESSAGES_EACH = 400
SESSIONS_EACH = 12
HEARTBEATS_EACH = 300
SOCKETS = 1000
REST_CPU_S = 0.1  # in a second, of all five


class Server:
    """One of the two that are compared."""

    def __init__(self, name: str, pid: int, stations: list[load.Station], card: str) -> None:
        self.name = name
        self.pid = pid
        self.stations = stations
        self.card = card
        self.costs: dict[str, list[load.Cost]] = {}
        self.socket_kib = 0.0

    async def measure(self, what: str, each: int, work: Any) -> None:
        cost = await self._on_open_sockets(each, work)
        self.costs.setdefault(what, []).append(cost)

    async def _on_open_sockets(self, each: int, work: Any) -> load.Cost:
        busy = self.stations[:STATIONS]
        ready = asyncio.Barrier(len(busy) + 1)
        cost: load.Cost | None = None

        async def one(wire: load.Wire) -> None:
            prepared = await work.prepare(wire, self.card)
            await ready.wait()
            await ready.wait()
            for number in range(each):
                await work.once(wire, prepared, number)
            await ready.wait()
            await ready.wait()

        async with asyncio.TaskGroup() as group:
            group.create_task(load.on_each(busy, one, work.version))
            await ready.wait()
            with load.measured(self.pid, each * len(busy)) as cost:
                await ready.wait()
                await ready.wait()
            await ready.wait()
        return cost

    async def hold_sockets(self) -> None:
        before = load.memory_bytes(self.pid)
        sockets = []
        for start in range(0, len(self.stations), 50):
            batch = self.stations[start : start + 50]
            sockets += await asyncio.gather(*(_open(station) for station in batch))
        for socket in sockets:
            await load.Wire(socket).call("Heartbeat", {})
        grown = load.memory_bytes(self.pid) - before
        self.socket_kib = grown / len(sockets) / 1024
        await asyncio.gather(*(socket.close() for socket in sockets))

    def median(self, what: str) -> load.Cost:
        return sorted(self.costs[what], key=lambda cost: cost.cpu_us)[ROUNDS // 2]


async def _open(station: load.Station) -> Any:
    return await station.connect()


class MeterValues:
    version = "ocpp1.6"

    @staticmethod
    async def prepare(wire: load.Wire, card: str) -> int:
        register = 10**6 + next(load.seconds)
        start = {
            "connectorId": 1,
            "idTag": card,
            "meterStart": register,
            "timestamp": load.stamp(),
        }
        return int((await wire.call("StartTransaction", start))["transactionId"])

    @staticmethod
    async def once(wire: load.Wire, prepared: int, number: int) -> None:
        await wire.call("MeterValues", load.meter_values(prepared, 10**6 + number))


class Heartbeats:
    version = "ocpp1.6"

    @staticmethod
    async def prepare(wire: load.Wire, card: str) -> None:
        assert wire
        assert card

    @staticmethod
    async def once(wire: load.Wire, prepared: None, number: int) -> None:
        assert prepared is None
        assert number >= 0
        await wire.call("Heartbeat", {})


class Sessions:
    version = "ocpp1.6"

    @staticmethod
    async def prepare(wire: load.Wire, card: str) -> str:
        assert wire
        return card

    @staticmethod
    async def once(wire: load.Wire, prepared: str, number: int) -> None:
        assert number >= 0
        await load.whole_session(wire, prepared)


class Sessions201:
    version = "ocpp2.0.1"

    @staticmethod
    async def prepare(wire: load.Wire, card: str) -> str:
        return await Sessions.prepare(wire, card)

    @staticmethod
    async def once(wire: load.Wire, prepared: str, number: int) -> None:
        assert number >= 0
        await load.whole_session_201(wire, prepared)


# The bare server speaks 1.6 only, so this stands beside our own session of 1.6.
IN_201 = "the same in 2.0.1 (10 messages)"

WORK = (
    ("Heartbeat", HEARTBEATS_EACH, Heartbeats),
    ("MeterValues", MESSAGES_EACH, MeterValues),
    ("whole session (9 messages)", SESSIONS_EACH, Sessions),
)


async def make_stations(suite: Suite, number: int) -> list[load.Station]:
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    slots = asyncio.Semaphore(8)
    async with httpx.AsyncClient(headers=headers, timeout=60) as api:

        async def one(number: int) -> load.Station:
            async with slots:
                body = {"id": f"BENCH-{number}", "name": f"bench {number}"}
                answer = await api.post(f"{suite.urls['registry']}/v1/stations", json=body)
                assert answer.status_code == 201, answer.text
            return load.Station(suite.urls["ocpp"], body["id"], answer.json()["password"])

        return await asyncio.gather(*(one(n) for n in range(number)))


async def wait_known(station: load.Station) -> None:
    """Until the gateway has heard of the last station."""
    for _ in range(300):
        try:
            async with station.connect():
                return
        except Exception:  # noqa: BLE001 - not yet
            await asyncio.sleep(0.1)
    raise TimeoutError(station.station_id)


async def at_rest(suite: Suite) -> None:
    """Until the services have worked off what came before; they share the processors with it."""
    processes = suite.processes.values()
    for _ in range(60):
        before = sum(load.cpu_s(process.pid) for process in processes)
        await asyncio.sleep(1)
        if sum(load.cpu_s(process.pid) for process in processes) - before < REST_CPU_S:
            return
    raise TimeoutError("the services do not come to rest")


def _ratio(ones: list[load.Cost], others: list[load.Cost]) -> float:
    """Of what was measured one after the other, since the machine is slower in some minutes."""
    return statistics.median(a.cpu_us / b.cpu_us for a, b in zip(ones, others, strict=True))


def table(ours: Server, bare: Server) -> None:
    print(f"{'CPU µs of the server process':30} {'ours':>9} {'bare':>9} {'ours/bare':>10}")
    for what, _, _ in WORK:
        mine, other = ours.median(what), bare.median(what)
        ratio = _ratio(ours.costs[what], bare.costs[what])
        print(f"{what:30} {mine.cpu_us:9.1f} {other.cpu_us:9.1f} {ratio:10.2f}")
    newer = ours.median(IN_201).cpu_us
    ratio = _ratio(ours.costs[IN_201], ours.costs[WORK[-1][0]])
    print(f"{IN_201:30} {newer:9.1f} {'':9} {ratio:10.2f} of 1.6's")
    print(f"{'items a second, load included':30} {'ours':>9} {'bare':>9}")
    for what, _, _ in WORK:
        mine, other = ours.median(what), bare.median(what)
        rate, bare_rate = mine.items / mine.wall_s, other.items / other.wall_s
        print(f"{what:30} {rate:9.0f} {bare_rate:9.0f}")
    print(f"{f'KiB a socket, {SOCKETS} held':30} {ours.socket_kib:9.1f} {bare.socket_kib:9.1f}")


async def main() -> None:
    port = free_port()
    program = str(Path(__file__).with_name("bare_server.py"))
    command = [sys.executable, program, str(port)]
    bare_process = subprocess.Popen(command)  # noqa: ASYNC220 - it outlives this call
    try:
        async with running_suite() as suite:
            print(f"making {SOCKETS} stations …", flush=True)
            stations = await make_stations(suite, SOCKETS)
            await wait_known(stations[-1])
            card = suite.demo["cards"][0]
            url = f"ws://127.0.0.1:{port}"
            twins = [load.Station(url, s.station_id, s.password) for s in stations]
            gateway = suite.processes["csms-gateway"].pid
            ours = Server("ours", gateway, stations, card)
            bare = Server("bare", bare_process.pid, twins, card)
            for server in (ours, bare):
                await server.hold_sockets()
            for number in range(ROUNDS):
                print(f"round {number + 1} of {ROUNDS} …", flush=True)
                for what, each, work in WORK:
                    for server in (ours, bare):
                        await at_rest(suite)
                        await server.measure(what, each, work)
                await at_rest(suite)
                await ours.measure(IN_201, SESSIONS_EACH, Sessions201)
            table(ours, bare)
    finally:
        bare_process.terminate()
        bare_process.wait()


if __name__ == "__main__":
    asyncio.run(main())
