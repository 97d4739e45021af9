"""Whole flows of OCPP 1.6 that the OCA's test cases for a Central System walk through."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import OPERATOR, Gateway, Wire, stamp
from stack import eventually
from websockets.asyncio.client import ClientConnection

from common.events import (
    BootsReported,
    SessionEnded,
    SessionStarted,
    StatusesReported,
    StatusReport,
)

BOOT = {"chargePointVendor": "Vendor", "chargePointModel": "Model", "firmwareVersion": "2.0"}
ACCEPTED = {"idTagInfo": {"status": "Accepted"}}


async def status(wire: Wire, word: str, connector: int = 1, error: str = "NoError") -> None:
    payload = {"connectorId": connector, "status": word, "errorCode": error, "timestamp": stamp()}
    assert await wire.send("StatusNotification", payload) == {}


async def booted(wire: Wire, *words: str) -> None:
    answer = await wire.send("BootNotification", BOOT)
    assert answer["status"] == "Accepted"
    assert answer["interval"] > 0
    for connector, word in enumerate(words):
        await status(wire, word, connector)


async def ordered(
    gateway: Gateway, station: str, socket: ClientConnection, command: dict[str, Any], answer: str
) -> tuple[list[Any], str]:
    """Send a command and answer its call with a status: the call, the state it ends in."""
    async with gateway.service.as_(OPERATOR, "commands:write", "commands:read") as api:
        path = f"/v1/stations/{station}/commands"
        headers = {"Idempotency-Key": uuid4().hex}
        created = await api.post(path, json=command, headers=headers)
        assert created.status_code == 202, created.text
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        await socket.send(json.dumps([3, call[1], {"status": answer}]))

        async def finished() -> Any:
            state = (await api.get(f"{path}/{created.json()['id']}")).json()["state"]
            return state if state not in ("queued", "sent") else None

        state: str = await eventually(finished)
        return call[2:], state


async def told_statuses(gateway: Gateway, station: str, count: int) -> list[StatusReport]:
    async def enough() -> Any:
        batches = gateway.of(StatusesReported)
        found = [one for batch in batches for one in batch.reports if one.station_id == station]
        return found if len(found) >= count else None

    found: list[StatusReport] = await eventually(enough)
    return found


async def test_TC_001_a_cold_boot(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        await booted(wire, "Available", "Available", "Available")
        assert "currentTime" in await wire.send("Heartbeat", {})
    found = {one.evse_id: one.status for one in await told_statuses(gateway, station, 3)}
    assert found == dict.fromkeys((0, 1, 2), "available")
    (boot,) = await gateway.reported(BootsReported, station)
    assert boot.firmware_version == "2.0"


@pytest.mark.parametrize("first", ["plug", "card", "cached card"])
async def test_TC_003_TC_004_1_TC_007_a_session_whatever_came_first(
    gateway: Gateway, first: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        if first != "card":
            await status(wire, "Preparing")
        if first != "cached card":
            assert await wire.send("Authorize", {"idTag": "GOOD"}) == ACCEPTED
        if first == "card":
            await status(wire, "Preparing")
        started = await wire.start("GOOD")
        assert started["idTagInfo"] == ACCEPTED["idTagInfo"]
        await status(wire, "Charging")
    (told,) = await gateway.told(SessionStarted, station_id=station)
    assert (told.transaction_id, told.incidents) == (str(started["transactionId"]), ())


async def test_TC_004_2_TC_024_no_session_comes_of_a_card_without_a_car_or_a_lock_that_fails(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        assert await wire.send("Authorize", {"idTag": "GOOD"}) == ACCEPTED
        await status(wire, "Preparing")
        await status(wire, "Available")
        await status(wire, "Faulted", error="ConnectorLockFailure")
    (fault,) = [one for one in await told_statuses(gateway, station, 3) if one.error_code]
    assert (fault.status, fault.error_code) == ("faulted", "ConnectorLockFailure")
    assert gateway.of(SessionStarted, station_id=station) == []


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("TC_005_1", "EVDisconnected"),
        ("TC_018_1", "UnlockCommand"),
        ("TC_032_1", "PowerLoss"),
        ("TC_012", "Remote"),
    ],
)
async def test_TC_005_1_TC_012_TC_018_1_TC_032_1_a_session_ends_for_the_reason_that_is_told(
    gateway: Gateway, case: str, reason: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        transaction_id = (await wire.start("GOOD"))["transactionId"]
        (begun,) = await gateway.told(SessionStarted, station_id=station)
        if case == "TC_018_1":
            command: dict[str, Any] = {"type": "unlock_connector", "evse_id": 1}
            sent = await ordered(gateway, station, socket, command, "Unlocked")
            assert sent == (["UnlockConnector", {"connectorId": 1}], "accepted")
        elif case == "TC_012":
            command = {"type": "remote_stop", "session_id": str(begun.session_id)}
            sent = await ordered(gateway, station, socket, command, "Accepted")
            payload = {"transactionId": transaction_id}
            assert sent == (["RemoteStopTransaction", payload], "accepted")
        elif case == "TC_032_1":
            await booted(wire, "Available", "Finishing", "Available")
        assert await wire.stop(transaction_id, reason=reason) == {}
        await status(wire, "Available")
    (ended,) = await gateway.told(SessionEnded, station_id=station)
    assert (ended.stop_reason, ended.energy_wh, ended.incidents) == (reason, 500, ())


@pytest.mark.parametrize("plugged", [True, False])
async def test_TC_010_TC_011_1_a_remote_start_with_and_without_a_car(
    gateway: Gateway, *, plugged: bool
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        if plugged:
            await status(wire, "Preparing")
        command = {"type": "remote_start", "id_token": "GOOD", "evse_id": 1}
        sent = await ordered(gateway, station, socket, command, "Accepted")
        payload = {"idTag": "GOOD", "connectorId": 1}
        assert sent == (["RemoteStartTransaction", payload], "accepted")
        assert await wire.send("Authorize", {"idTag": "GOOD"}) == ACCEPTED
        assert (await wire.start("GOOD"))["idTagInfo"] == ACCEPTED["idTagInfo"]
    (begun,) = await gateway.told(SessionStarted, station_id=station)
    async with gateway.service.as_(OPERATOR, "commands:read") as api:
        (command,) = (await api.get(f"/v1/stations/{station}/commands")).json()["items"]
    assert command["session_id"] == str(begun.session_id)


async def test_TC_011_2_TC_026_a_remote_start_that_comes_to_nothing_names_no_session(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        command = {"type": "remote_start", "id_token": "GOOD"}
        sent = await ordered(gateway, station, socket, command, "Rejected")
        assert sent == (["RemoteStartTransaction", {"idTag": "GOOD"}], "rejected")
        await ordered(gateway, station, socket, command, "Accepted")
        await status(wire, "Preparing")
        await status(wire, "Available")
    async with gateway.service.as_(OPERATOR, "commands:read") as api:
        found = (await api.get(f"/v1/stations/{station}/commands")).json()["items"]
    assert [one["session_id"] for one in found] == [None, None]


@pytest.mark.parametrize(("when", "kind"), [("immediate", "Hard"), ("on_idle", "Soft")])
async def test_TC_013_TC_014_a_reset_and_the_boot_after_it(
    gateway: Gateway, when: str, kind: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        command = {"type": "reset", "when": when}
        sent = await ordered(gateway, station, socket, command, "Accepted")
        assert sent == (["Reset", {"type": kind}], "accepted")
    async with gateway.connect(station) as socket:
        await booted(Wire(socket), "Available", "Available")


async def test_TC_028_a_stop_of_a_transaction_the_charger_does_not_know_is_rejected(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        transaction_id = (await wire.start("GOOD"))["transactionId"]
        call = {"action": "RemoteStopTransaction", "payload": {"transactionId": 999}}
        sent = await ordered(gateway, station, socket, {"ocpp": call}, "Rejected")
        assert sent == (["RemoteStopTransaction", {"transactionId": 999}], "rejected")
        assert gateway.of(SessionEnded, station_id=station) == []
        assert await wire.stop(transaction_id) == {}


@pytest.mark.parametrize(("tag", "told"), [("GOOD", "Accepted"), ("WHO", "Invalid")])
async def test_TC_037_1_TC_037_3_TC_039_a_session_begun_offline_is_stored_and_told_what_holds_now(
    gateway: Gateway, tag: str, told: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        began_at, ended_at = stamp(7200), stamp(3600)
        started = await wire.start(tag, timestamp=began_at)
        assert started["idTagInfo"] == {"status": told}
        assert await wire.stop(started["transactionId"], timestamp=ended_at) == {}
    (ended,) = await gateway.told(SessionEnded, station_id=station)
    assert (ended.ended_at - ended.started_at).total_seconds() == pytest.approx(3600, abs=1)
    assert (ended.token_status, ended.energy_wh) == (told, 500)


async def test_4_7_readings_without_a_transaction_or_of_the_whole_station_are_taken(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        assert await wire.meter("10", connectorId=0) == {}
        transaction_id = (await wire.start("GOOD"))["transactionId"]
        assert await wire.meter("1100") == {}
        assert await wire.meter("1200", transactionId=0) == {}
        assert await wire.stop(transaction_id) == {}
        assert await wire.stop(987_654_321) == {}
        assert await wire.stop(0, idTag="WHO") == {"idTagInfo": {"status": "Invalid"}}
    ended = await gateway.told(SessionEnded, 2, station_id=station)
    known = [event for event in ended if event.transaction_id == str(transaction_id)]
    assert [event.energy_wh for event in known] == [500]
