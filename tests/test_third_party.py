"""Chargers that were not written here charge too: other people's code and schemas, our suite."""

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import (
    Action,
    AuthorizationStatus,
    ChargePointErrorCode,
    ChargePointStatus,
    Measurand,
    Reason,
    RegistrationStatus,
    RemoteStartStopStatus,
    UnitOfMeasure,
)
from stack import eventually
from suite import Suite
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

NODE_CHARGER = Path(__file__).parent / "third_party"
ANSWER_S = 10
NPM_S = 60
# npm's codes for a registry that it cannot reach; a lock that does not fit is another code.
UNREACHABLE = {
    "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "ENOTCACHED",
    "ENOTFOUND", "ERR_SOCKET_TIMEOUT", "ETIMEDOUT", "FETCH_ERROR",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
async def _all_admitted(suite: Suite) -> None:
    for station in suite.demo["stations"]:
        await admitted(suite, station)


def dial(suite: Suite, station: dict[str, Any]) -> connect:
    basic = base64.b64encode(f"{station['id']}:{station['password']}".encode()).decode()
    return connect(
        f"{suite.urls['ocpp']}/{station['id']}",
        subprotocols=[Subprotocol("ocpp1.6")],
        additional_headers={"Authorization": f"Basic {basic}"},
    )


async def admitted(suite: Suite, station: dict[str, Any]) -> None:
    """Wait until the gateway has heard of a new station: neither package dials twice."""

    async def let_in() -> bool:
        try:
            async with dial(suite, station):
                return True
        except InvalidStatus:
            return False

    await eventually(let_in)


async def charge_by_command(suite: Suite, station_id: str, id_token: str) -> dict[str, Any]:
    """Start and stop the charger through REST; give the record."""
    base = f"{suite.urls['csms-gateway']}/v1/stations/{station_id}/commands"
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    async with httpx.AsyncClient(headers=headers, timeout=20) as api:

        async def send(body: dict[str, Any]) -> str:
            key = {"Idempotency-Key": f"{station_id} {body['type']}"}
            sent = await api.post(base, json=body, headers=key)
            assert sent.status_code == 202, sent.text
            command_id: str = sent.json()["id"]

            async def answered() -> Any:
                return command if (command := await look(command_id))["finished_at"] else None

            command = await eventually(answered)
            assert command["state"] == "accepted", command
            return command_id

        async def look(command_id: str) -> Any:
            return (await api.get(f"{base}/{command_id}")).json()

        start = await send({"type": "remote_start", "id_token": id_token, "evse_id": 1})

        async def charging() -> Any:
            return (await look(start))["session_id"]

        session_id = await eventually(charging)

        async def metered() -> Any:
            wanted = {"station_id": station_id, "state": "running"}
            items = (await suite.get("billing", "sessions", **wanted))["items"]
            return [(item["id"], item["energy_wh"]) for item in items] == [(session_id, 250)]

        await eventually(metered)
        await send({"type": "remote_stop", "session_id": session_id})
    return await suite.record_of(session_id)


async def record_of_transaction(suite: Suite, station_id: str, transaction_id: str) -> Any:
    async def closed() -> Any:
        records = await suite.records(station_id=station_id)
        return [record for record in records if record["transaction_id"] == transaction_id]

    (record,) = await eventually(closed, 20)
    return record


def check(record: dict[str, Any], energy_wh: int, gross: str) -> None:
    assert record["energy_wh"] == energy_wh
    assert record["total_gross"] == {"amount": gross, "currency": "EUR"}, record["lines"]
    assert record["review"] == "none", record
    assert record["card_id"] and record["user_id"]


# --- the ocpp package from PyPI ---------------------------------------------------------------


def stamp(seconds_ago: float = 0) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()


class PackagedCharger(ChargePoint):
    """One connector. Obeys remote commands after it has accepted them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.starts: asyncio.Queue[str] = asyncio.Queue(1)
        self.stops: asyncio.Queue[int] = asyncio.Queue(1)

    @on(Action.remote_start_transaction)
    async def accept_start(self, **_: Any) -> Any:
        return call_result.RemoteStartTransaction(status=RemoteStartStopStatus.accepted)

    @after(Action.remote_start_transaction)
    def started_by_command(self, id_tag: str, **_: Any) -> None:
        self.starts.put_nowait(id_tag)

    @on(Action.remote_stop_transaction)
    async def accept_stop(self, **_: Any) -> Any:
        return call_result.RemoteStopTransaction(status=RemoteStartStopStatus.accepted)

    @after(Action.remote_stop_transaction)
    def stopped_by_command(self, transaction_id: int, **_: Any) -> None:
        self.stops.put_nowait(transaction_id)

    async def ask(self, payload: Any) -> Any:
        """Raises what the package raises: for a CALLERROR, and for an answer against its schema."""
        return await self.call(payload, suppress=False)

    async def boot(self) -> None:
        boot = call.BootNotification(charge_point_model="packaged", charge_point_vendor="ocpp")
        assert (await self.ask(boot)).status == RegistrationStatus.accepted
        await self.tell_status(ChargePointStatus.available)
        told = datetime.fromisoformat((await self.ask(call.Heartbeat())).current_time)
        # Real ones set their clocks by it; neither package's schemas ask for a zone.
        assert abs(told - datetime.now(UTC)) < timedelta(seconds=ANSWER_S)

    async def tell_status(self, status: ChargePointStatus) -> None:
        await self.ask(
            call.StatusNotification(
                connector_id=1, error_code=ChargePointErrorCode.no_error, status=status
            )
        )

    async def begin(self, id_tag: str, meter_start: int, at: str) -> int:
        answer = await self.ask(
            call.StartTransaction(
                connector_id=1, id_tag=id_tag, meter_start=meter_start, timestamp=at
            )
        )
        assert answer.id_tag_info["status"] == AuthorizationStatus.accepted
        await self.tell_status(ChargePointStatus.charging)
        transaction_id: int = answer.transaction_id
        return transaction_id

    async def meter(self, transaction_id: int, register_kwh: str, at: str) -> None:
        sample = {
            "value": register_kwh,
            "measurand": Measurand.energy_active_import_register,
            "unit": UnitOfMeasure.kwh,
        }
        values = [{"timestamp": at, "sampled_value": [sample]}]
        await self.ask(
            call.MeterValues(connector_id=1, transaction_id=transaction_id, meter_value=values)
        )

    async def end(self, transaction_id: int, meter_stop: int, at: str, reason: Reason) -> None:
        await self.ask(
            call.StopTransaction(
                transaction_id=transaction_id, meter_stop=meter_stop, timestamp=at, reason=reason
            )
        )
        await self.tell_status(ChargePointStatus.available)

    async def obey(self) -> None:
        """Charge 300 Wh by command."""
        transaction_id = await self.begin(await self.starts.get(), 112_000, stamp())
        await self.meter(transaction_id, "112.25", stamp())
        assert await self.stops.get() == transaction_id
        await self.end(transaction_id, 112_300, stamp(), Reason.remote)


@asynccontextmanager
async def connected(suite: Suite, station: dict[str, Any]) -> AsyncIterator[PackagedCharger]:
    async with dial(suite, station) as socket, asyncio.TaskGroup() as group:
        charger = PackagedCharger(station["id"], socket, response_timeout=ANSWER_S)
        receiving = group.create_task(charger.start())
        yield charger
        receiving.cancel()


async def test_a_charger_made_of_the_ocpp_package_charges(suite: Suite) -> None:
    station, card = suite.demo["stations"][0], suite.demo["cards"][0]
    async with connected(suite, station) as charger:
        await charger.boot()
        assert (await charger.ask(call.Authorize(card))).id_tag_info["status"] == "Accepted"
        # 12 kWh in 40 minutes, before it came online.
        transaction_id = await charger.begin(card, 100_000, stamp(2520))
        await charger.meter(transaction_id, "106.0", stamp(1320))
        await charger.end(transaction_id, 112_000, stamp(120), Reason.local)
        record = await record_of_transaction(suite, station["id"], str(transaction_id))
        check(record, 12_000, gross="6.63")  # 12 kWh at 0.49, 40 min at 0.01, and 0.35

        async with asyncio.TaskGroup() as group:
            group.create_task(charger.obey())
            record = await charge_by_command(suite, station["id"], card)
        check(record, 300, gross="0.00")  # under a minute is free of charge


# --- the ocpp-rpc package from npm ------------------------------------------------------------


@pytest.fixture(scope="module")
def node_charger() -> Iterator[Path]:
    """The script in a folder of its own, with the packages of its lock file."""
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        pytest.skip("node and npm are not installed")
    with tempfile.TemporaryDirectory(prefix="csms-node-") as parent:
        folder = Path(parent) / "charger"
        leftover = shutil.ignore_patterns("node_modules")
        shutil.copytree(NODE_CHARGER, folder, ignore=leftover)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline",
             "--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-timeout=8000"],
            cwd=folder, capture_output=True, text=True, timeout=NPM_S, check=False,
        )  # fmt: skip
        codes = set(re.findall(r"^npm (?:error|ERR!) code (\w+)", done.stderr, re.MULTILINE))
        if codes & UNREACHABLE:
            pytest.skip(f"npm cannot reach its registry: {', '.join(codes)}")
        assert done.returncode == 0, done.stderr
        yield folder


class NodeCharger:
    """The script, running."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> dict[str, Any]:
        """Read what it tells next; fail if it gave up."""
        assert self.process.stdout
        text = await asyncio.wait_for(self.process.stdout.readline(), 2 * ANSWER_S)
        assert text, "it gave up; its reason is in the captured stderr"
        found: dict[str, Any] = json.loads(text)
        return found

    async def ended_well(self) -> None:
        told, _ = await asyncio.wait_for(self.process.communicate(), ANSWER_S)
        assert (self.process.returncode, told) == (0, b"")


@asynccontextmanager
async def running(folder: Path, suite: Suite, index: int) -> AsyncIterator[NodeCharger]:
    station = suite.demo["stations"][index]
    process = await asyncio.create_subprocess_exec(
        "node", "charger.js", cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "OCPP_URL": suite.urls["ocpp"],
            "OCPP_STATION": station["id"],
            "OCPP_PASSWORD": station["password"],
            "OCPP_ID_TAG": suite.demo["cards"][1],
        },
    )  # fmt: skip
    try:
        yield NodeCharger(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_a_charger_made_of_ocpp_rpc_in_strict_mode_charges(
    node_charger: Path, suite: Suite
) -> None:
    station_id, card = suite.demo["stations"][2]["id"], suite.demo["cards"][1]
    async with running(node_charger, suite, 2) as charger:
        told = await charger.line()
        record = await record_of_transaction(suite, station_id, told["transaction_id"])
        check(record, told["energy_wh"], gross="10.45")  # 20 kWh, 30 min, and 0.35

        assert await charger.line() == {"ready": True}
        record = await charge_by_command(suite, station_id, card)
        told = await charger.line()
        assert record["transaction_id"] == told["transaction_id"]
        check(record, told["energy_wh"], gross="0.00")  # under a minute is free of charge
        await charger.ended_well()
