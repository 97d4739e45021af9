"""Chargers made of other people's packages, and what their sessions must come to."""

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from stack import eventually
from suite import Suite
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

NODE_CHARGER = Path(__file__).parent / "third_party"
ANSWER_S = 20
NPM_S = 180
# npm's codes for a registry that it cannot reach; a lock that does not fit is another code.
UNREACHABLE = {
    "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "ENOTCACHED",
    "ENOTFOUND", "ERR_SOCKET_TIMEOUT", "ETIMEDOUT", "FETCH_ERROR",
}  # fmt: skip


def stamp(seconds_ago: float = 0) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()


def dial(suite: Suite, station: dict[str, Any], protocol: str = "ocpp1.6") -> connect:
    basic = base64.b64encode(f"{station['id']}:{station['password']}".encode()).decode()
    return connect(
        f"{suite.urls['ocpp']}/{station['id']}",
        subprotocols=[Subprotocol(protocol)],
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


async def new_station(suite: Suite, station_id: str) -> dict[str, Any]:
    """One more station of the demo's operator, with two EVSEs, known to the gateway."""
    connector = {
        "connector_id": 1, "standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC",
    }  # fmt: skip
    evses = [
        {"evse_id": number, "max_power_w": 50_000, "connectors": [connector]} for number in (1, 2)
    ]
    location = (await suite.get("registry", "locations"))["items"][0]["id"]
    body = {"id": station_id, "name": station_id, "location_id": location, "evses": evses}
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    async with httpx.AsyncClient(headers=headers, timeout=20) as api:
        made = await api.post(f"{suite.urls['registry']}/v1/stations", json=body)
    assert made.status_code == 201, made.text
    station = {"id": station_id, "password": made.json()["password"]}
    await admitted(suite, station)
    return station


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

    (record,) = await eventually(closed)
    return record


def check(record: dict[str, Any], energy_wh: int, gross: str) -> None:
    assert record["energy_wh"] == energy_wh
    assert record["total_gross"] == {"amount": gross, "currency": "EUR"}, record["lines"]
    assert record["review"] == "none", record
    assert record["card_id"] and record["user_id"]


# --- the ocpp-rpc package from npm ------------------------------------------------------------


@contextmanager
def node_folder() -> Iterator[Path]:
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
        told, _ = await asyncio.wait_for(self.process.communicate(b""), ANSWER_S)
        assert (self.process.returncode, told) == (0, b"")


@asynccontextmanager
async def running(
    folder: Path, suite: Suite, station: dict[str, Any], script: str, **environment: str
) -> AsyncIterator[NodeCharger]:
    process = await asyncio.create_subprocess_exec(
        "node", script, cwd=folder,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "OCPP_URL": suite.urls["ocpp"],
            "OCPP_STATION": station["id"],
            "OCPP_PASSWORD": station["password"],
            "OCPP_ID_TAG": suite.demo["cards"][1],
            **environment,
        },
    )  # fmt: skip
    try:
        yield NodeCharger(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
