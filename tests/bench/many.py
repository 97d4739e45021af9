"""Thousands of chargers in one process, on a WebSocket client that costs little."""

import asyncio
import base64
import logging
import time
from collections import deque
from itertools import count
from typing import Any

import asyncpg
import orjson
import picows
from suite import Suite

from bench import load
from common import credentials

PASSWORD = credentials.new_secret()
CONNECTING_MAX = 200  # handshakes under way at once; a real car park is no wider
ids = count()
REGISTRY = """
insert into registry.station (
    id, operator_id, version, name, active, credential_version, password_hash
) select id, $1::uuid, 1, id, true, 1, $2 from unnest($3::text[]) as id
"""
GATEWAY = """
insert into csms_gateway.station (
    operator_id, password_hash, station_id, version, credential_version, active, evses
) select $1::uuid, $2, id, 1, 1, true, '[{"evse_id": 1, "max_power_w": 22000}]'
from unnest($3::text[]) as id
"""
# picows tells each connection's life to its logger.
QUIET = logging.LoggerAdapter(logging.getLogger("picows.bench"), {})
QUIET.setLevel(logging.CRITICAL)


class Wire(picows.WSListener):
    """One charger's socket; calls are answered in order."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[list[Any]]] = deque()
        self.transport: picows.WSTransport | None = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.TEXT:
            answer = orjson.loads(frame.get_payload_as_bytes())
            self._waiting.popleft().set_result(answer)
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, _: picows.WSTransport) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(ConnectionError("closed"))

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        assert self.transport
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        frame = orjson.dumps([2, str(next(ids)), action, payload])
        self.transport.send(picows.WSMsgType.TEXT, frame)
        answer = await future
        assert answer[0] == 3, answer
        found: dict[str, Any] = answer[2]
        return found

    def cut(self) -> None:
        """As a power cut: no close frame."""
        assert self.transport
        self.transport.disconnect(graceful=False)


class Fleet:
    """Stations that registry and gateway know, and a socket of each."""

    def __init__(self, suite: Suite, name: str, number: int) -> None:
        self.suite = suite
        self.name = name
        self.ids = [f"{name}-{n:05}" for n in range(number)]
        self.wires: dict[str, Wire] = {}
        self.failures: list[str] = []

    async def make(self) -> None:
        """Straight into the tables: the API would take longer than what is measured."""
        db = await asyncpg.connect(self.suite.postgres.url())
        operator = self.suite.demo["operator_id"]
        hashed = credentials.fast_hash(PASSWORD)
        await db.execute(REGISTRY, operator, hashed, self.ids)
        await db.execute(GATEWAY, operator, hashed, self.ids)
        await db.close()

    async def connect_all(self, after: Any = None) -> None:
        """after: what each charger does once it is connected."""
        slots = asyncio.Semaphore(CONNECTING_MAX)

        async def one(station_id: str) -> None:
            async with slots:
                try:
                    self.wires[station_id] = await self._connect(station_id)
                    if after:
                        await after(self.wires[station_id])
                except Exception as error:  # noqa: BLE001 - counted, and the bench fails on it
                    self.failures.append(f"{station_id}: {error!r}")

        async with asyncio.TaskGroup() as group:
            for station_id in self.ids:
                group.create_task(one(station_id))

    async def _connect(self, station_id: str) -> Wire:
        basic = base64.b64encode(f"{station_id}:{PASSWORD}".encode()).decode()
        _, wire = await picows.ws_connect(
            Wire,
            f"{self.suite.urls['ocpp']}/{station_id}",
            extra_headers={"Authorization": f"Basic {basic}", "Sec-WebSocket-Protocol": "ocpp1.6"},
            websocket_handshake_timeout=60,
            read_buffer_init_size=1024,
            logger_name=QUIET,
        )
        assert isinstance(wire, Wire)
        return wire

    def cut_all(self) -> None:
        for wire in self.wires.values():
            wire.cut()
        self.wires.clear()

    async def stored_statuses(self, since: Any) -> int:
        db = await asyncpg.connect(self.suite.postgres.url())
        found: int = await db.fetchval(
            "select count(*) from registry.connector_live where station_id like $1 "
            "and received_at >= $2",
            f"{self.name}-%",
            since,
        )
        await db.close()
        return found


async def boot_and_status(wire: Wire) -> None:
    vendor = {"chargePointVendor": "Bench", "chargePointModel": "Storm"}
    assert (await wire.call("BootNotification", vendor))["status"] == "Accepted"
    body = {
        "connectorId": 1,
        "errorCode": "NoError",
        "status": "Available",
        "timestamp": load.stamp(),
    }
    await wire.call("StatusNotification", body)


async def answer_times(fleet: Fleet, a_second: int, for_s: float) -> list[float]:
    """Seconds from call to answer at a steady rate: a mix of readings, heartbeats and statuses.

    Open loop: a slow answer does not slow the load down.
    """
    wires = list(fleet.wires.values())
    taken: list[float] = []

    async def one(number: int) -> None:
        wire = wires[number % len(wires)]
        began = time.perf_counter()
        if number % 10 < 6:
            await wire.call("MeterValues", load.meter_values(None, 10**6 + number))
        elif number % 10 < 9:
            await wire.call("Heartbeat", {})
        else:
            body = {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}
            await wire.call("StatusNotification", body)
        taken.append(time.perf_counter() - began)

    began, number, total = time.perf_counter(), 0, int(a_second * for_s)
    async with asyncio.TaskGroup() as group:
        while number < total:
            due = min(int((time.perf_counter() - began) * a_second) + 1, total)
            for _ in range(number, due):
                group.create_task(one(number))
                number += 1
            await asyncio.sleep(0.002)
    return taken
