"""Chargers of OCPP 2.0.1 and 2.1 that were not written here: other people's code and schemas."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from ocpp import v21, v201
from ocpp.routing import on
from outside_chargers import (
    ANSWER_S,
    NODE_CHARGER,
    NodeCharger,
    charge_by_command,
    check,
    dial,
    new_station,
    node_folder,
    record_of_transaction,
    running,
    stamp,
)
from stack import eventually
from suite import Suite

from csms_gateway.versions import VERSIONS

COMMANDS: dict[str, Any] = json.loads((NODE_CHARGER / "commands.json").read_text())
CALLS: dict[str, Any] = json.loads((NODE_CHARGER / "calls.json").read_text())
PACKAGES: dict[str, Any] = {"ocpp2.0.1": v201, "ocpp2.1": v21}
# In sessions of their own; with certificates, requests and logins that are real.
ELSEWHERE = {
    "remote_start", "remote_stop", "certificate_signed", "install_certificate", "rotate_password",
}  # fmt: skip
# What the answers to these say is not a status.
TOLD = {
    "GetLocalListVersion": {"versionNumber": 7},
    "GetTransactionStatus": {"messagesInQueue": False},
    "CostUpdated": {},
    "NotifyWebPaymentStarted": {},
    "GetPeriodicEventStream": {},
}


@pytest.fixture(scope="module")
def node_charger() -> Iterator[Path]:
    with node_folder() as folder:
        yield folder


async def transactions(suite: Suite, station_id: str) -> list[dict[str, Any]]:
    found = await suite.get("csms-gateway", "transactions", station_id=station_id)
    items: list[dict[str, Any]] = found["items"]
    return items


def commands_of(version: str) -> list[dict[str, Any]]:
    """A body for each typed command that the version has, and raw calls."""
    kinds = sorted(VERSIONS[version].commands.keys() - ELSEWHERE)
    typed = [{"type": kind, **COMMANDS[kind]} for kind in kinds]
    calls = CALLS["ocpp2.0.1"] | (CALLS["ocpp2.1"] if version == "ocpp2.1" else {})
    return typed + [{"ocpp": {"action": name, "payload": calls[name]}} for name in calls]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_B01_C01_E12_F02_F03_J02_ocpp_rpc_in_strict_mode_charges_and_takes_every_command(
    node_charger: Path, suite: Suite, version: str
) -> None:
    station = await new_station(suite, f"STRICT-{version}")
    card = suite.demo["cards"][1]
    async with running(
        node_charger, suite, station, "charger2.js", OCPP_PROTOCOL=version
    ) as charger:
        told = await telling(charger, "transaction_id")
        record = await record_of_transaction(suite, station["id"], told["transaction_id"])
        check(record, told["energy_wh"], gross="10.45")  # 20 kWh, 30 min, and 0.35
        assert len(await transactions(suite, station["id"])) == 1  # though each event came twice

        await telling(charger, "ready")
        record = await charge_by_command(suite, station["id"], card)
        asked = await telling(charger, "action", "RequestStartTransaction")
        assert asked["params"]["idToken"] == {"idToken": card, "type": "Central"}
        told = await telling(charger, "transaction_id")
        assert record["transaction_id"] == told["transaction_id"]
        check(record, told["energy_wh"], gross="0.00")  # under a minute is free of charge

        await takes_every_command(suite, station["id"], version, charger)
        await charger.ended_well()
    signed = "select count(*) from csms_gateway.signed_message where station_id = $1"
    assert await suite.count(signed, station["id"]) == 4


async def telling(charger: NodeCharger, member: str, value: Any = None) -> dict[str, Any]:
    """The next line with that member, and value. The gateway also asks of itself."""
    while True:
        line = await charger.line()
        if member in line and value in (None, line[member]):
            return line


async def takes_every_command(
    suite: Suite, station_id: str, version: str, charger: NodeCharger
) -> None:
    expected: Counter[str] = Counter()
    url = f"{suite.urls['csms-gateway']}/v1/stations/{station_id}/commands"
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as api:
        for body in commands_of(version):
            sent = await api.post(url, json=body, params={"wait_s": ANSWER_S})
            assert sent.status_code == 200, (body, sent.text)
            command = sent.json()
            assert command["state"] == "accepted", command
            for one in command["calls"]:
                expected[one["action"]] += 1
                if one["action"] in TOLD:
                    assert one["answer"] == TOLD[one["action"]]
            if "ocpp" in body:
                assert [one["payload"] for one in command["calls"]] == [body["ocpp"]["payload"]]
    got: Counter[str] = Counter()
    while not expected <= got:
        got[(await telling(charger, "action"))["action"]] += 1


# --- the ocpp package from PyPI ---------------------------------------------------------------


class Answers:
    """What a charger of either version says to the commands of the test."""

    _call_result: Any  # the package's, of the version

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.started: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)
        self.stopped: asyncio.Queue[str] = asyncio.Queue(1)
        self.reports: set[int] = set()

    @on("RequestStartTransaction")
    async def on_start(self, id_token: Any, remote_start_id: int, **_: Any) -> Any:
        self.started.put_nowait({"id_token": id_token, "remote_start_id": remote_start_id})
        return self._call_result.RequestStartTransaction(status="Accepted")

    @on("RequestStopTransaction")
    async def on_stop(self, transaction_id: str, **_: Any) -> Any:
        self.stopped.put_nowait(transaction_id)
        return self._call_result.RequestStopTransaction(status="Accepted")

    @on("GetBaseReport")
    async def on_report(self, request_id: int, **_: Any) -> Any:
        self.reports.add(request_id)
        return self._call_result.GetBaseReport(status="Accepted")

    @on("Reset")
    async def on_reset(self, **_: Any) -> Any:
        return self._call_result.Reset(status="Rejected")


class Charger201(Answers, v201.ChargePoint):
    pass


class Charger21(Answers, v21.ChargePoint):
    pass


CHARGERS: dict[str, Any] = {"ocpp2.0.1": Charger201, "ocpp2.1": Charger21}


@asynccontextmanager
async def connected(
    suite: Suite, station: dict[str, Any], version: str
) -> AsyncIterator[tuple[Any, Any]]:
    """The charger, and the version's calls."""
    async with dial(suite, station, version) as socket, asyncio.TaskGroup() as group:
        assert socket.subprotocol == version
        charger = CHARGERS[version](station["id"], socket, response_timeout=ANSWER_S)
        receiving = group.create_task(charger.start())
        yield charger, PACKAGES[version].call
        receiving.cancel()


class Session:
    """The events of one transaction."""

    def __init__(self, charger: Any, call: Any, **common: Any) -> None:
        self.charger, self.call, self.common = charger, call, common
        self.id = str(uuid4())
        self.seq_no = 0

    def event(self, kind: str, trigger: str, ago_s: float, wh: float, **more: Any) -> Any:
        info = {"transaction_id": self.id, **more.pop("info", {})}
        context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}
        sampled = {"value": wh, "context": context.get(kind, "Sample.Periodic")}
        event = self.call.TransactionEvent(
            event_type=kind,
            timestamp=stamp(ago_s),
            trigger_reason=trigger,
            seq_no=self.seq_no,
            transaction_info=info,
            meter_value=[{"timestamp": stamp(ago_s), "sampled_value": [sampled]}],
            evse={"id": 1, "connector_id": 1},
            **self.common | more,
        )
        self.seq_no += 1
        return event

    async def tell(self, event: Any) -> Any:
        """Raises what the package raises: for a CALLERROR and an answer against its schema."""
        return await self.charger.call(event, suppress=False)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_B01_C01_E12_F02_F03_the_ocpp_package_charges_on_2_x(
    suite: Suite, version: str
) -> None:
    station = await new_station(suite, f"PACKAGED-{version}")
    card = suite.demo["cards"][0]
    token = {"id_token": card, "type": "ISO14443"}
    async with connected(suite, station, version) as (charger, call):
        boot = call.BootNotification(
            charging_station={"model": "packaged", "vendor_name": "ocpp"}, reason="PowerUp"
        )
        assert (await charger.call(boot, suppress=False)).status == "Accepted"
        answer = await charger.call(call.Authorize(id_token=token), suppress=False)
        assert answer.id_token_info["status"] == "Accepted"

        # 12 kWh in 40 minutes, before it came online; the end is told twice.
        session = Session(charger, call, offline=True)
        begin = session.event("Started", "Authorized", 2520, 100_000, id_token=token)
        assert (await session.tell(begin)).id_token_info["status"] == "Accepted"
        await session.tell(session.event("Updated", "MeterValuePeriodic", 1320, 106_000))
        end = session.event("Ended", "EVDeparted", 120, 112_000, info={"stopped_reason": "Local"})
        await session.tell(end)
        await session.tell(end)
        record = await record_of_transaction(suite, station["id"], session.id)
        check(record, 12_000, gross="6.63")  # 12 kWh at 0.49, 40 min at 0.01, and 0.35

        async with asyncio.TaskGroup() as group:
            group.create_task(obey(charger, call))
            record = await charge_by_command(suite, station["id"], card)
        check(record, 300, gross="0.00")  # under a minute is free of charge
        await answers_commands(suite, station["id"], version, charger)


async def obey(charger: Any, call: Any) -> None:
    """Charge 300 Wh by command."""
    asked = await charger.started.get()
    session = Session(charger, call)
    info = {"remote_start_id": asked["remote_start_id"]}
    await session.tell(
        session.event("Started", "RemoteStart", 0, 112_000, id_token=asked["id_token"], info=info)
    )
    await session.tell(session.event("Updated", "MeterValuePeriodic", 0, 112_250))
    assert await charger.stopped.get() == session.id
    stopped = {"stopped_reason": "Remote"}
    await session.tell(session.event("Ended", "RemoteStop", 0, 112_300, info=stopped))


async def answers_commands(suite: Suite, station_id: str, version: str, charger: Any) -> None:
    url = f"{suite.urls['csms-gateway']}/v1/stations/{station_id}/commands"
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    async with httpx.AsyncClient(headers=headers, params={"wait_s": ANSWER_S}, timeout=30) as api:
        report = {"type": "get_base_report", "report_base": "SummaryInventory"}
        sent = (await api.post(url, json=report)).json()
        assert sent["state"] == "accepted"
        assert sent["calls"][0]["payload"]["requestId"] in charger.reports
        sent = (await api.post(url, json={"type": "reset", "when": "immediate"})).json()
        assert (sent["state"], sent["result"]) == ("rejected", {"status": "Rejected"})
        if version == "ocpp2.0.1":  # on 2.1 the package says nothing to what it has no handler for
            raw = {"ocpp": {"action": "ClearCache", "payload": {}}}
            sent = (await api.post(url, json=raw)).json()
            assert (sent["state"], sent["result"]["code"]) == ("failed", "NotImplemented")

        async def idle() -> bool:
            return all(one["ended_at"] for one in await transactions(suite, station_id))

        await eventually(idle)
