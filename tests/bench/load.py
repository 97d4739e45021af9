"""Chargers made of nothing but frames: cheap enough to load a server from one process."""

import asyncio
import base64
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from websockets.asyncio.client import ClientConnection, connect

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
seconds = count()


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


@dataclass
class Cost:
    """cpu_us: of the server's process, per item; wall_s: of the whole."""

    items: int
    cpu_us: float = 0
    wall_s: float = 0


@contextmanager
def measured(pid: int, items: int) -> Iterator[Cost]:
    cost = Cost(items)
    cpu, wall = cpu_s(pid), time.perf_counter()
    yield cost
    cost.cpu_us = (cpu_s(pid) - cpu) / items * 1e6
    cost.wall_s = time.perf_counter() - wall


class Wire:
    """One socket; answers are read in order, as one call is under way at a time."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._ids = count()

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        await self.socket.send(orjson.dumps([2, str(next(self._ids)), action, payload]).decode())
        answer = orjson.loads(await self.socket.recv())
        while answer[0] == 2:  # ours asks a 2.x station for its device model
            refusal = [4, answer[1], "NotSupported", "a load generator has none", {}]
            await self.socket.send(orjson.dumps(refusal).decode())
            answer = orjson.loads(await self.socket.recv())
        assert answer[0] == 3, answer
        found: dict[str, Any] = answer[2]
        return found


@dataclass(frozen=True)
class Station:
    url: str
    station_id: str
    password: str

    def connect(self, version: str = "ocpp1.6") -> connect:
        basic = base64.b64encode(f"{self.station_id}:{self.password}".encode()).decode()
        return connect(
            f"{self.url}/{self.station_id}",
            subprotocols=[version],  # type: ignore[list-item]
            additional_headers={"Authorization": f"Basic {basic}"},
            compression=None,
            ping_interval=None,
            open_timeout=60,
        )


def stamp(ago_s: float = 0) -> str:
    return (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat().replace("+00:00", "Z")


def meter_values(transaction_id: int | None, register_wh: int) -> dict[str, Any]:
    """As chargers send it: register, power, current of three phases; None: no session."""
    sampled = [
        {"value": str(register_wh), "unit": "Wh", "measurand": "Energy.Active.Import.Register"},
        {"value": "11040", "unit": "W", "measurand": "Power.Active.Import"},
        *({"value": "16.0", "unit": "A", "measurand": "Current.Import", "phase": phase}
          for phase in ("L1", "L2", "L3")),
    ]  # fmt: skip
    payload = {
        "connectorId": 1,
        "meterValue": [{"timestamp": stamp(), "sampledValue": sampled}],
    }
    return payload if transaction_id is None else payload | {"transactionId": transaction_id}


async def whole_session(wire: Wire, card: str) -> None:
    """Nine messages, from boot to available again."""
    vendor = {"chargePointVendor": "Bench", "chargePointModel": "Load"}
    await wire.call("BootNotification", vendor)
    await _status(wire, "Preparing")
    await wire.call("Authorize", {"idTag": card})
    register = 1000 + next(seconds)
    start = {"connectorId": 1, "idTag": card, "meterStart": register, "timestamp": stamp()}
    transaction_id = (await wire.call("StartTransaction", start))["transactionId"]
    await _status(wire, "Charging")
    for more in (100, 200):
        await wire.call("MeterValues", meter_values(transaction_id, register + more))
    stop = {"transactionId": transaction_id, "meterStop": register + 300, "timestamp": stamp()}
    await wire.call("StopTransaction", stop)
    await _status(wire, "Available")


async def _status(wire: Wire, status: str) -> None:
    body = {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": stamp()}
    await wire.call("StatusNotification", body)


async def whole_session_201(wire: Wire, card: str) -> None:
    """The same in OCPP 2.0.1: a change of the charging state is a message of its own there."""
    vendor = {"vendorName": "Bench", "model": "Load"}
    await wire.call("BootNotification", {"reason": "PowerUp", "chargingStation": vendor})
    await _status_201(wire, "Occupied")
    token = {"idToken": card, "type": "ISO14443"}
    await wire.call("Authorize", {"idToken": token})
    info = {"transactionId": str(uuid4())}
    register = 1000 + next(seconds)
    evse = {"id": 1, "connectorId": 1}

    async def event(
        kind: str, seq_no: int, trigger: str, sampled: list[dict[str, Any]], **more: Any
    ) -> None:
        body = {
            "eventType": kind,
            "timestamp": stamp(),
            "triggerReason": trigger,
            "seqNo": seq_no,
            "transactionInfo": info | more.pop("info", {}),
        }
        if sampled:
            body["meterValue"] = [{"timestamp": stamp(), "sampledValue": sampled}]
        await wire.call("TransactionEvent", body | more)

    begin = [{"value": register, "context": "Transaction.Begin"}]
    await event("Started", 0, "Authorized", begin, idToken=token, evse=evse)
    await event("Updated", 1, "ChargingStateChanged", [], info={"chargingState": "Charging"})
    for number in (1, 2):
        sampled = sampled_201(register + 100 * number)
        await event("Updated", 1 + number, "MeterValuePeriodic", sampled)
    end = [{"value": register + 300, "context": "Transaction.End"}]
    await event("Ended", 4, "EVDeparted", end, info={"stoppedReason": "EVDisconnected"})
    await _status_201(wire, "Available")


def sampled_201(register_wh: int) -> list[dict[str, Any]]:
    return [
        {"value": register_wh},
        {"value": 11040, "measurand": "Power.Active.Import"},
        *({"value": 16, "measurand": "Current.Import", "phase": p} for p in ("L1", "L2", "L3")),
    ]


async def _status_201(wire: Wire, status: str) -> None:
    body = {"timestamp": stamp(), "connectorStatus": status, "evseId": 1, "connectorId": 1}
    await wire.call("StatusNotification", body)


async def on_each(
    stations: list[Station], work: Callable[[Wire], Awaitable[None]], version: str = "ocpp1.6"
) -> None:
    """Run work on a socket of each station, all at once."""

    async def one(station: Station) -> None:
        async with station.connect(version) as socket:
            await work(Wire(socket))

    async with asyncio.TaskGroup() as group:
        for station in stations:
            group.create_task(one(station))
