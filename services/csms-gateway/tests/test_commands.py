"""Commands are records: stored, sent once, answered, or timed out."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
from gateway_wire import OPERATOR, Gateway, Wire, stamp
from stack import eventually


async def send(gateway: Gateway, station: str, command: dict[str, Any], key: str = "") -> Any:
    async with gateway.service.as_(OPERATOR, "commands:write") as api:
        return await api.post(
            f"/v1/stations/{station}/commands",
            json=command,
            headers={"Idempotency-Key": key or uuid4().hex},
        )


async def until(gateway: Gateway, created: httpx.Response, state: str) -> dict[str, Any]:
    assert created.status_code == 202, created.text
    command = created.json()

    async def there() -> Any:
        async with gateway.service.as_(OPERATOR, "commands:read") as api:
            path = f"/v1/stations/{command['station_id']}/commands/{command['id']}"
            now = (await api.get(path)).json()
        return now if now["state"] == state else None

    found: dict[str, Any] = await eventually(there)
    return found


async def test_a_remote_start_is_answered_and_names_the_session_that_came_of_it(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        created = await send(
            gateway, station, {"type": "remote_start", "id_token": "good", "evse_id": 1}
        )
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        assert call[2:] == ["RemoteStartTransaction", {"idTag": "good", "connectorId": 1}]
        # R5: with our command unanswered, the charger's own calls are answered at once.
        wire = Wire(socket)
        assert "currentTime" in await wire.send("Heartbeat", {})
        await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
        done = await until(gateway, created, "accepted")
        assert done["session_id"] is None
        transaction_id = (await wire.start("GOOD"))["transactionId"]
        done = await until(gateway, created, "accepted")
        (open_one,) = await gateway.transactions(station_id=station)
        assert done["session_id"] == open_one["session_id"]

        stop = {"type": "remote_stop", "session_id": open_one["session_id"]}
        created = await send(gateway, station, stop, "stop-once")
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        assert call[2:] == ["RemoteStopTransaction", {"transactionId": transaction_id}]
        await socket.send(json.dumps([3, call[1], {"status": "Rejected"}]))
        assert (await until(gateway, created, "rejected"))["result"] == {"status": "Rejected"}
        assert await wire.stop(transaction_id) == {}
        assert (await send(gateway, station, stop)).status_code == 409
        assert (await send(gateway, station, stop, "stop-once")).json()["state"] == "rejected"


async def test_a_repeated_key_sends_nothing_again_and_another_use_of_it_is_refused(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        command = {"type": "remote_start", "id_token": "GOOD"}
        created = await send(gateway, station, command, f"{station}-key")
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        await socket.send(json.dumps([4, call[1], "GenericError", "no", {}]))
        failed = await until(gateway, created, "failed")
        assert failed["result"] == {"code": "GenericError", "description": "no"}
        again = await send(gateway, station, command, f"{station}-key")
        assert again.json()["id"] == created.json()["id"]
        other = await send(gateway, station, command | {"id_token": "BAD"}, f"{station}-key")
        assert other.status_code == 422
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})


async def test_a_command_waits_for_a_station_that_is_away(gateway: Gateway) -> None:
    station = await gateway.add_station()
    created = await send(gateway, station, {"type": "remote_start", "id_token": "GOOD"})
    assert created.json()["state"] == "queued"
    async with gateway.connect(station) as socket:
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
        await until(gateway, created, "accepted")


async def test_a_lost_answer_fails_the_command(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        created = await send(gateway, station, {"type": "remote_start", "id_token": "GOOD"})
        await asyncio.wait_for(socket.recv(), 5)
    failed = await until(gateway, created, "failed")
    assert failed["result"] == {"description": "the connection closed"}


async def test_a_command_no_station_fetched_times_out(gateway: Gateway) -> None:
    station = await gateway.add_station()
    created = await send(gateway, station, {"type": "remote_start", "id_token": "GOOD"})
    await gateway.execute(
        "update command set deadline_at = now() where station_id = :station", station=station
    )
    await until(gateway, created, "timed_out")
    async with gateway.connect(station) as socket:
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})


async def test_bad_commands_are_refused_with_a_pointer(gateway: Gateway) -> None:
    station = await gateway.add_station()
    for body in (
        {},
        {"type": "explode"},
        {"type": "remote_start", "id_token": ""},
        {"type": "remote_start", "id_token": "x" * 21},
        {"type": "remote_start", "id_token": "a\u0000"},
        {"type": "remote_start", "id_token": "GOOD", "evse_id": 0},
    ):
        answer = await send(gateway, station, body)
        assert answer.status_code == 422, body
        assert answer.json()["errors"][0]["pointer"].startswith("/body")
    missing = await send(gateway, "NOWHERE", {"type": "remote_start", "id_token": "GOOD"})
    assert missing.status_code == 404
    assert stamp()
